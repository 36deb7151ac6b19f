"""From files to a corpus on disk: nothing lost without a reason, nothing done twice, nothing half there."""

import json
import lzma
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from textus import storage
from textus.corpus.config import CorpusConfig
from textus.corpus.corpus import Corpus
from textus.corpus.document import Document
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.filters.config import FilterConfig
from textus.corpus.passages.config import PassagesConfig
from textus.corpus.pipeline import build, build_from
from textus.corpus.privacy.config import PrivacyConfig
from textus.corpus.split_config import SplitConfig
from textus.corpus.work.config import WorkConfig
from textus.errors import ArtefactError, ConfigError, CorpusError, InputError, ResourceError

DATA = Path(__file__).parents[2] / "../shared/data"
SOME = [
    Document(f"Document {number}. " + " ".join(f"word{number}of{place}" for place in range(20)), f"s{number}")
    for number in range(40)
]


def jsonl(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    return path


def texts(corpus, split):
    return [document.text for document in corpus.documents(split)]


def everything(corpus):
    return sorted(text for split in corpus.splits for text in texts(corpus, split))


def no_one():
    """Yield documents that must not be asked for."""
    raise AssertionError("read again")
    yield


def test_documents_go_into_splits_and_come_back(tmp_path):
    corpus = build_from(SOME, "some", tmp_path / "corpus", CorpusConfig(test_fraction=0.1))
    assert corpus.splits == ("train", "validation", "test")
    assert everything(corpus) == sorted(document.text.rstrip() for document in SOME)
    assert [corpus.count(split) for split in corpus.splits] == [34, 2, 4]
    for split in corpus.splits:
        assert corpus.count(split) == len(texts(corpus, split))
        assert corpus.num_bytes(split) == sum(len(text.encode()) for text in texts(corpus, split))
    assert {document.source for document in corpus.documents("train")} < {document.source for document in SOME}
    assert {path.name for path in corpus.directory.iterdir()} == {
        "train-00000.parquet",
        "validation-00000.parquet",
        "test-00000.parquet",
        "report.json",
        "manifest.json",
    }
    storage.verify(corpus.directory, "corpus")


def test_the_order_of_the_input_changes_no_split(tmp_path):
    one = build_from(SOME, "1", tmp_path / "one", CorpusConfig())
    other = build_from(SOME[::-1], "2", tmp_path / "other", CorpusConfig())
    assert set(texts(one, "validation")) == set(texts(other, "validation"))


def test_duplicates_are_dropped_or_at_least_kept_together(tmp_path):
    doubled = [*SOME, *(Document(document.text.replace(" ", "\n"), "copy") for document in SOME)]
    corpus = build_from(doubled, "key", tmp_path / "a", CorpusConfig())
    assert sum(map(corpus.count, corpus.splits)) == 40
    assert "dropped: duplicate" in corpus.report().text()
    corpus = build_from(doubled, "key", tmp_path / "b", CorpusConfig(deduplicate="none"))
    assert sum(map(corpus.count, corpus.splits)) == 80
    words = [{" ".join(text.split()) for text in texts(corpus, split)} for split in corpus.splits]
    assert not set.intersection(*words)


def test_few_documents_give_their_tails(tmp_path):
    few = [Document("\n\n".join(f"Paragraph {n} of {name}." for n in range(100)), name) for name in ("a", "b")]
    corpus = build_from(few, "few", tmp_path / "corpus", CorpusConfig(validation_fraction=0.1))
    assert [corpus.count(split) for split in corpus.splits] == [2, 2]
    for document, head, tail in zip(few, texts(corpus, "train"), texts(corpus, "validation"), strict=True):
        assert f"{head}\n\n{tail}" == document.text
    assert "the end of each was held out" in corpus.report().text()


def test_given_validation_is_used_and_its_duplicates_leave_training(tmp_path):
    (tmp_path / "in").mkdir()
    train = jsonl(tmp_path / "in/train.jsonl", [document.text for document in SOME])
    held = jsonl(tmp_path / "in/held.jsonl", [SOME[3].text + "\n", "Something else altogether."])
    config = CorpusConfig(validation=(str(held),))
    corpus = build([tmp_path / "in"], tmp_path / "corpus", config)
    assert texts(corpus, "validation") == [SOME[3].text.rstrip(), "Something else altogether."]
    assert texts(corpus, "train") == [document.text.rstrip() for document in SOME if document is not SOME[3]]
    assert "also in the validation part" in corpus.report().text()
    with pytest.raises(CorpusError, match="nothing is left to train on"):
        build([jsonl(tmp_path / "same.jsonl", [SOME[3].text])], tmp_path / "x", config)
    assert build([train], tmp_path / "y", config).count("train") == 39


@pytest.mark.parametrize("deduplicate", ["near", "exact", "none"])
def test_training_is_rid_of_what_repeats_given_files_as_far_as_was_asked(tmp_path, deduplicate):
    nearly = SOME[3].text.replace("word3of7", "another")
    train = jsonl(tmp_path / "train.jsonl", [*(document.text for document in SOME), nearly])
    held = jsonl(tmp_path / "held.jsonl", [SOME[3].text, "Something else altogether, of which nobody has heard."])
    config = CorpusConfig(validation=(str(held),), deduplicate=deduplicate)
    corpus = build([train], tmp_path / "corpus", config)
    left = texts(corpus, "train")
    assert (SOME[3].text.rstrip() in left, nearly.rstrip() in left) == (deduplicate == "none", deduplicate != "near")
    record = json.loads((corpus.directory / "report.json").read_text("utf-8"))
    assert record["leakage"]["of these seen in training"] == (deduplicate != "near")
    assert any("1 of 2 held-out documents stand in training" in words for words in record["next"]) == (
        deduplicate != "near"
    )
    assert len(texts(corpus, "validation")) == 2


def test_groups_lose_nothing_where_nothing_is_to_be_dropped(tmp_path):
    documents = [Document(one.text, one.source, {"author": f"a{number % 10}"}) for number, one in enumerate(SOME)]
    copies = [Document(one.text, "copy", {"author": f"b{number % 10}"}) for number, one in enumerate(SOME)]
    config = CorpusConfig(deduplicate="none", split=SplitConfig(how="group", field="author"))
    corpus = build_from([*documents, *copies], "k", tmp_path / "corpus", config)
    assert len(everything(corpus)) == 80
    record = json.loads((corpus.directory / "report.json").read_text("utf-8"))
    assert record["leakage"]["of these seen in training"] > 0


def test_no_report_shows_what_was_redacted_and_advises_only_what_was_not_done(tmp_path):
    told = [Document(f"{one.text} Write to ada{number}@example.org.", one.source) for number, one in enumerate(SOME)]
    for policy in ("keep", "redact"):
        config = CorpusConfig(privacy=PrivacyConfig(policy=policy), duplicates=DuplicatesConfig(threshold=0.5))
        corpus = build_from([*told, Document(told[0].text + " Now.", "again")], "k", tmp_path / policy, config)
        shown = (corpus.directory / "report.json").read_text("utf-8") + corpus.report().html()
        assert "dropped: near duplicate" in shown
        assert ("ada0@example.org" in shown) == (policy == "keep")
        assert ("xxx0" not in shown) and ("xxxx@xxxxxxx.xxx" in shown) == (policy == "redact")
        assert any("corpus.privacy.policy=redact" in words for words in corpus.record()["next"]) == (policy == "keep")
        short, long = (len(corpus.report(examples).text().splitlines()) for examples in (1, 20))
        assert (short < long) == (policy == "redact")


def test_repeated_passages_are_removed_or_marked(tmp_path):
    passage = " ".join(f"passage{number}" for number in range(60))
    found = [*SOME, Document(f"First of all. {passage}.", "one"), Document(f"{passage}! Then more of it.", "other")]
    found += [Document(f'"{passage}".', "alone")]
    shown = {}
    for action in ("report", "remove", "mask"):
        config = CorpusConfig(passages=PassagesConfig(action=action), deduplicate="exact")
        corpus = build_from(found, "k", tmp_path / action, config)
        shown[action] = {one.source: one.text for split in corpus.splits for one in corpus.documents(split)}
        record = json.loads((corpus.directory / "report.json").read_text("utf-8"))
        assert record["taken_out"].get("passages masked", 0) == 2 * (action == "mask")
        assert ("masked" in {row["what"] for row in record["samples"]}) == (action == "mask")
    assert shown["report"] == {document.source: document.text.rstrip() for document in found}
    gone = [source for source in shown["report"] if shown["remove"].get(source) != shown["report"][source]]
    assert len(gone) == 2 and shown["mask"].keys() == shown["remove"].keys()
    for source in gone:
        marked = shown["report"][source].replace(passage, "[...]")
        assert shown["mask"].get(source, '"[...]".') == marked
    with pytest.raises(ConfigError, match="`mark` is empty"):
        PassagesConfig(action="mask", mark=" ")


def test_a_second_run_reads_nothing(tmp_path):
    source = jsonl(tmp_path / "a.jsonl", [document.text for document in SOME])
    first = build([source], tmp_path / "corpus", CorpusConfig())
    before = {path: path.stat().st_mtime_ns for path in first.directory.iterdir()}
    again = build([source], tmp_path / "corpus", CorpusConfig())
    assert before == {path: path.stat().st_mtime_ns for path in again.directory.iterdir()}
    assert build_from(SOME, "k", tmp_path / "b", CorpusConfig()).fingerprint == first.fingerprint
    build_from(no_one(), "k", tmp_path / "b", CorpusConfig())
    with pytest.raises(AssertionError, match="read again"):
        build_from(no_one(), "other key", tmp_path / "b", CorpusConfig())
    build_from(no_one(), "k", tmp_path / "b", CorpusConfig(fix_unicode=False))
    assert Corpus.open(tmp_path / "b").fingerprint == first.fingerprint


def test_a_changed_file_or_a_damaged_corpus_is_made_again(tmp_path):
    source = jsonl(tmp_path / "a.jsonl", [document.text for document in SOME])
    first = build([source], tmp_path / "corpus", CorpusConfig())
    jsonl(source, ["new", *(document.text for document in SOME)])
    second = build([source], tmp_path / "corpus", CorpusConfig())
    assert second.fingerprint != first.fingerprint
    with (tmp_path / "corpus/train-00000.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtefactError):
        Corpus.open(tmp_path / "corpus")
    assert build([source], tmp_path / "corpus", CorpusConfig()).fingerprint == second.fingerprint


def test_an_error_leaves_nothing_behind(tmp_path):
    source = tmp_path / "a.jsonl"
    source.write_text('{"text": "good"}\n{"text": \n')
    with pytest.raises(InputError, match=r"a\.jsonl:2"):
        build([source], tmp_path / "out/corpus", CorpusConfig())
    assert list((tmp_path / "out").iterdir()) == []


def test_the_report_adds_up(tmp_path):
    found = [*SOME, SOME[0], Document(" \n", "x"), Document("ab", "y"), Document("schÃ¶n und gut, sehr schÃ¶n", "z")]
    corpus = build_from(found, "k", tmp_path / "c", CorpusConfig(minimum_characters=5))
    record = json.loads((corpus.directory / "report.json").read_text("utf-8"))
    assert record["documents"] == {
        "read": 44,
        "kept": 41,
        "dropped": {"duplicate": 1, "empty": 1, "too short": 1},
    }
    assert record["repairs"]["wrong decoding"] == 1
    assert sum(part["documents"] for part in record["splits"].values()) == 41
    report = corpus.report()
    assert "schön und gut" in report.text()
    for shown in (report.text(), report.markdown(), report.html(), json.dumps(report.as_dict())):
        assert "duplicate" in shown


def test_nothing_left_says_why(tmp_path):
    with pytest.raises(CorpusError, match="no document is left of 2 read: 1 empty, 1 too short"):
        build_from([Document("ab", "x"), Document("", "y")], "k", tmp_path / "c", CorpusConfig(minimum_characters=9))
    with pytest.raises(InputError, match="nothing to read"):
        build_from([], "none", tmp_path / "c", CorpusConfig())
    with pytest.raises(CorpusError, match="too few to have a validation part"):
        build_from([Document("word", "x")], "one", tmp_path / "c", CorpusConfig())
    assert not (tmp_path / "c").exists()


def test_a_split_that_is_not_there_is_named(tmp_path):
    corpus = build_from(SOME, "k", tmp_path / "c", CorpusConfig())
    with pytest.raises(CorpusError, match="no test part; there is train, validation"):
        corpus.documents("test")


def test_what_is_no_corpus_is_named(tmp_path):
    with pytest.raises(ArtefactError, match="no such file"):
        Corpus.open(tmp_path)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResourceError, match="a file stands"):
        build_from(SOME, "k", tmp_path / "file/corpus", CorpusConfig())


def test_a_folder_of_everything(tmp_path):
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes("Déjà vu, à la carte, où êtes-vous ?".encode("cp1252"))
    (root / "sub/b.py").write_text("def f():\n    return 1\n")
    (root / "c.csv").write_text("id,text\n1,From a table.\n")
    (root / "d.html").write_text("<html><body><p>From a page.</p></body></html>")
    (root / "e.txt.xz").write_bytes(lzma.compress(b"One of two.\n<|endoftext|>\nTwo of two.\n"))
    (root / "photo.png").write_bytes(b"\x89PNG")
    jsonl(root / "f.jsonl", ["From a line."])
    corpus = build([root], tmp_path / "c", CorpusConfig(minimum_split_documents=2))
    assert everything(corpus) == [
        "Déjà vu, à la carte, où êtes-vous ?",
        "From a line.",
        "From a page.",
        "From a table.",
        "One of two.",
        "Two of two.",
        "def f():\n    return 1",
    ]
    report = corpus.report().text()
    assert "cp1252" in report
    assert "photo.png" in report


def test_memory_does_not_grow_with_the_corpus(tmp_path):
    config = CorpusConfig(filter=FilterConfig(profile="none"), work=WorkConfig(workers=1, task_mb=2))

    def peak(number):
        random = np.random.default_rng(0)
        texts = (random.integers(97, 123, 300_000, np.uint8).tobytes().decode() for _ in range(number))
        tracemalloc.start()
        build_from((Document(text, "x") for text in texts), f"{number}", tmp_path / f"{number}", config)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2)  # the tables that are made once
    assert peak(60) < 1.2 * peak(20)


@pytest.mark.skipif(not (DATA / "general").exists(), reason="the shared data is not here")
def test_the_same_documents_in_two_formats_are_the_same_corpus(tmp_path):
    lines = build([DATA / "general/val.jsonl.zst"], tmp_path / "a", CorpusConfig())
    plain = build([DATA / "general/val.txt.xz"], tmp_path / "b", CorpusConfig())
    assert lines.fingerprint == plain.fingerprint
    assert lines.count("train") + lines.count("validation") == 892


@pytest.mark.skipif(not (DATA / "dirty").exists(), reason="the shared data is not here")
def test_planted_exact_duplicates_are_found(tmp_path):
    corpus = build([DATA / "dirty/dirty_dev.jsonl.zst"], tmp_path / "c", CorpusConfig())
    record = json.loads((corpus.directory / "report.json").read_text("utf-8"))
    assert record["documents"]["read"] == 8965
    assert record["documents"]["dropped"]["duplicate"] >= 900
    assert record["repairs"]["wrong decoding"] >= 150


def test_inputs_may_be_relative(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    jsonl(tmp_path / "in/a.jsonl", [document.text for document in SOME])
    monkeypatch.chdir(tmp_path)
    here = build(["in"], Path("c"), CorpusConfig())
    assert build([tmp_path / "in"], Path("c"), CorpusConfig()).manifest == here.manifest
    assert next(iter(here.documents("train"))).source == "a.jsonl"
    assert here.directory == Path("c")


def test_settings_are_checked_before_anything_is_read():
    with pytest.raises(ConfigError):
        CorpusConfig(validation_fraction=0.9)


def test_whole_files_are_held_out_by_their_source(tmp_path):
    documents = [Document(one.text, f"file{number % 10}") for number, one in enumerate(SOME)]
    config = CorpusConfig(validation_fraction=0.2, split=SplitConfig(how="group", field="source"))
    corpus = build_from(documents, "k", tmp_path / "corpus", config)
    sources = [{one.source for one in corpus.documents(split)} for split in corpus.splits]
    assert len(sources) == 2 and all(sources) and sources[0].isdisjoint(sources[1])
