"""Every document that was read can be found again, with the reason why it is here or is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from textus.corpus.config import CorpusConfig
from textus.corpus.corpus import Corpus
from textus.corpus.document import Document
from textus.corpus.pipeline import build_from
from textus.corpus.trail import Trail
from textus.corpus.work.config import WorkConfig
from textus.errors import ArtefactError, ConfigError

_WORDS = [f"word{number}" for number in range(60)]
SOME = [
    Document(f"Document {number}. " + " ".join(f"{word}of{number}" for word in _WORDS), "s") for number in range(30)
]
NEARLY = Document(SOME[3].text + " and a few more words", "nearly")
SAME = Document(SOME[5].text.replace(" ", "\n"), "same")


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return build_from([*SOME, Document("", "nothing"), NEARLY, SAME], "key", tmp_path / "corpus", CorpusConfig())


def test_everything_that_was_read_is_there_in_order(corpus: Corpus) -> None:
    trail = Trail.open(corpus)
    steps = list(trail)
    assert [step.document.source for step in steps] == ["s"] * 30 + ["nothing", "nearly", "same"]
    assert [step.number for step in steps] == list(range(33)) and len(trail) == 33
    kept = [step.document.text for step in steps if not step.decision.reason]
    assert sorted(kept) == sorted(doc.text for split in corpus.splits for doc in corpus.documents(split))


def test_a_dropped_document_names_the_one_that_was_kept_for_it(corpus: Corpus) -> None:
    trail = Trail.open(corpus)
    assert trail.step(30).verdict == "dropped: empty"
    same, three = trail.step(32), trail.step(3)
    assert (same.verdict, same.decision.match, same.decision.score) == ("dropped: duplicate", 5, 1.0)
    # Of two that are nearly the same the longer one stays.
    assert (three.verdict, three.decision.match) == ("dropped: near duplicate", 31)
    assert three.decision.score == pytest.approx(58 / 63, abs=1e-6)  # runs of five words: 58 shared, 5 more in one
    assert [step.number for step in trail.cluster(3)] == [3, 31]
    assert [step.number for step in trail.search("WORD7OF3 ")] == [3, 31]


def test_measures_are_those_of_the_document(corpus: Corpus) -> None:
    measures = Trail.open(corpus).measures(31)
    assert measures["characters"] == len(NEARLY.text)
    assert measures["words"] == len(NEARLY.text.split())


def test_what_is_not_there_is_told(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no document 33 was read"):
        Trail.open(corpus).step(33)
    thrown_away = CorpusConfig(work=WorkConfig(keep=False))
    other = build_from(SOME, "other", tmp_path / "other", thrown_away)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("other")] == ["other"]
    with pytest.raises(ArtefactError, match="nothing that tells how this corpus was made"):
        Trail.open(other)
