"""What `textus evaluate` shows besides the scores, as it is typed: context, calibration, surprise, parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import textus
from textus.cli.main import main
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.errors import CorpusError
from textus.verbs.material import Again, Material, read_texts

FIRST = "runs/first"


@pytest.fixture(autouse=True)
def here(trained: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    monkeypatch.chdir(trained)


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    capsys.readouterr()
    assert main(["evaluate", *words, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["evaluate", *words]) == 2
    written = capsys.readouterr()
    assert written.out == "" and written.err.count("error: ") == 1 and "hint: " in written.err
    return written.err


def test_context(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = typed(capsys, FIRST, "other_texts", "--context", "16,64,32", "--report", str(page))
    assert [row["context"] for row in told["lengths"]] == [16, 32, 64]
    assert told["scores"][0]["name"] == "loss_at_16" and told["tokens"] > 0
    assert page.read_text().count("<polyline") == 3
    own = textus.evaluate_contexts(FIRST, [8, 16], split="train", most_targets=500)
    assert 0 < own.tokens <= 2048
    assert main(["evaluate", FIRST, "other_texts", "--context", "8"]) == 0
    assert "to the longest" in capsys.readouterr().out


def test_context_beyond_what_was_learnt(capsys: pytest.CaptureFixture[str]) -> None:
    assert "reads at most 64 tokens" in refusal(capsys, FIRST, "other_texts", "--context", "64,128")
    told = typed(capsys, FIRST, "other_texts", "--context", "64,128", "--extrapolate")
    assert [row["is_extrapolated"] for row in told["lengths"]] == [False, True]


def test_texts_that_are_too_short_for_the_context(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("Too short for that.")
    assert "none has 64 before it" in refusal(capsys, FIRST, str(tmp_path / "short.txt"), "--context", "64")
    (tmp_path / "empty.txt").write_text("")
    assert "nothing to read" in refusal(capsys, FIRST, str(tmp_path / "empty.txt"), "--context", "64")


def test_calibration(capsys: pytest.CaptureFixture[str]) -> None:
    told = typed(capsys, FIRST, "--calibration")
    assert [score["name"] for score in told["scores"]][:3] == ["ece_equal_mass", "ece_equal_width", "overconfidence"]
    (one,) = told["calibrations"]
    assert (
        one["tokens"]
        == textus.evaluate(FIRST, look_in_training=False).tokens
        == sum(row["tokens"] for row in one["equal_mass"])
    )


def test_a_hybrid_is_calibrated_in_both_ways(both_ways: Path) -> None:
    found = textus.calibration(both_ways / "runs/hybrid", both_ways / "other_texts")
    assert [one.question for one in found] == ["next token", "hidden token"]
    (one,) = textus.calibration(both_ways / "runs/masked")
    assert one.question == "hidden token"


def test_surprise(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    (tmp_path / "short.md").write_text(Path("notes.md").read_text("utf-8")[:1500], "utf-8")
    text = str(tmp_path / "short.md")
    told = typed(capsys, FIRST, text, "--surprise", str(page))
    found = textus.evaluate(FIRST, text, look_in_training=False)
    assert told["tokens"] == found.tokens
    assert told["bits"] / told["bytes"] == pytest.approx(found.score("bits_per_byte").value, rel=1e-5)
    html = page.read_text("utf-8")
    assert "short.md" in html and html.count("<polyline") == 2 and "<script" not in html
    assert main(["evaluate", FIRST, text, "--surprise", str(page)]) == 0
    assert "bits a byte" in capsys.readouterr().out


def test_a_masked_models_surprise_is_a_pseudo_likelihood(both_ways: Path) -> None:
    found = textus.surprise(both_ways / "runs/masked", both_ways / "notes.md", most_tokens=20)
    assert found.is_pseudo and len(found.passages[0].tokens) == 20


def test_scores_by_source_and_document(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = typed(capsys, FIRST, "other_texts", "notes.md", "--by", "source", "--report", str(page))
    assert len(told["parts"]) == 3 and sum(row["tokens"] for row in told["parts"]) == told["tokens"]
    assert "By source" in page.read_text() and "standard error" in page.read_text()
    own = typed(capsys, FIRST, "--by", "document")
    assert len(own["parts"]) == own["documents"]
    assert main(["evaluate", FIRST, "notes.md", "--by", "source"]) == 0
    assert "notes.md" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--context", "8,many"], "lengths divided by commas"),
        (["--context", "8", "--calibration"], "--context and --calibration are two measurements"),
        (["--extrapolate"], "--extrapolate says something about --context only"),
        (["--probe-test", "a"], "--probe-test says something about --probe only"),
        (["--labels", "a"], "--labels says something about --probe only"),
        (["--context", "8", "--stride", "8"], "--stride is about the scores"),
        (["--calibration", "--stride", "65"], "a stride of 65 does not fit"),
        (["--probe", "a", "--split", "train"], "--split train: --probe reads labelled texts alone"),
        (["--context", "8", "--by", "source"], "--by is about the scores"),
        (["--calibration", "none.txt"], "none.txt: no such"),
        (["notes.md", "--split", "train", "--calibration"], "the train part as well"),
        (["--split", "test", "--surprise", "page.html"], "has no test part"),
    ],
)
def test_what_makes_no_sense_is_said(capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert message in refusal(capsys, FIRST, *words)


def test_texts_are_held_where_they_are_few_and_read_anew_where_not() -> None:
    reads = []

    def make() -> list[Document]:
        reads.append(1)
        return [Document("abc", "a"), Document("def", "b")]

    for most, expected in ((6, 1), (5, 3)):
        reads.clear()
        texts = Again(make, most)
        assert [[one.text for one in texts] for _ in range(3)] == [["abc", "def"]] * 3
        assert len(reads) == expected
    partly = Again(make, 100)
    assert next(iter(partly)).text == "abc"
    assert len(list(partly)) == 2


def test_sources_are_those_of_the_documents() -> None:
    opened = textus.load(FIRST)
    assert Material.of(opened, "notes.md", "validation", "run").sources == ["notes.md"]
    assert all(source.endswith(".txt") for source in Material.of(opened, (), "validation", "run").sources)
    wrong = Material.of(opened, (), "validation", "run")
    wrong.__dict__["data"] = "other"
    with pytest.raises(CorpusError, match="no longer that of its shards"):
        _ = wrong.sources
    assert len(list(read_texts(["other_texts"], CorpusConfig()))) == 2
