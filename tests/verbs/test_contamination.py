from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import textus
from textus.cli.main import main
from textus.errors import ConfigError

RUN = Path("runs/first")


@pytest.fixture
def mine(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Path:
    # others may have looked before
    monkeypatch.chdir(shutil.copytree(trained, tmp_path / "mine", ignore=shutil.ignore_patterns("*.grams")))
    return RUN


def test_a_text_that_was_trained_on_is_found_and_the_rest_scored_alone(mine: Path) -> None:
    known = next(document.text for document in textus.Corpus.open(mine / "corpus").documents("train"))
    unseen = Path("other_texts")
    clean = textus.evaluate(mine, unseen)
    (unseen / "known.txt").write_text(known)
    found = textus.evaluate(mine, unseen)
    assert clean.contamination and found.contamination
    assert clean.contamination.documents == 0 and clean.contamination.clean == clean.scores
    assert (found.contamination.documents, found.contamination.num_bytes) == (1, len(known.encode()))
    for score, alone in zip(found.contamination.clean, clean.scores, strict=True):
        assert (score.name, score.data) == (alone.name, alone.data)
        assert score.value == pytest.approx(alone.value, rel=1e-6)
    share = len(known.encode()) / found.num_bytes
    assert found.contamination.overlap == pytest.approx(share + (1 - share) * clean.contamination.overlap)
    assert "of 1 of 3 documents 50% or more; on the others: loss" in "\n".join(found.notes())


def test_a_text_that_is_all_known_measures_memory(mine: Path) -> None:
    known = next(document.text for document in textus.Corpus.open(mine / "corpus").documents("train"))
    Path("known.txt").write_text(known)
    found = textus.evaluate(mine, "known.txt")
    assert found.contamination and found.contamination.clean == ()
    assert "this measures memory" in str(found.contamination)


def test_scores_carry_the_leakage_of_their_split(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leakage = textus.Corpus.open(mine / "corpus").record()["leakage"]
    assert main(["evaluate", str(mine), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["leakage"] == leakage and told["contamination"]["words"] == 13
    assert json.loads((mine / "result.json").read_text())["leakage"] == leakage
    assert "leakage: training shows 0 of" in (mine / "report.html").read_text()
    assert main(["evaluate", str(mine)]) == 0
    assert "leakage: training shows 0 of" in capsys.readouterr().out


def test_nobody_has_to_look(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(mine), "--no-contamination", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["leakage"], told["contamination"]) == (None, None)
    assert not (mine / "corpus.grams").exists()
    assert textus.evaluate(mine, split="train").contamination is None


def test_a_model_without_its_corpus_is_measured_all_the_same(mine: Path) -> None:
    before = textus.evaluate(mine)
    shutil.rmtree(mine / "corpus")
    found = textus.evaluate(mine)
    assert (found.contamination, found.scores) == (None, before.scores)


def test_texts_and_a_part_are_not_measured_at_once(mine: Path) -> None:
    with pytest.raises(ConfigError, match="and the test part as well"):
        textus.evaluate(mine, "other_texts", split="test")
