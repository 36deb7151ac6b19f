from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import textus
from textus.errors import ArtefactError, ConfigError
from textus.tokenizer.tokenizer import FILE, Tokenizer


def test_any_part_of_the_corpus_can_be_measured(trained: Path) -> None:
    run = trained / "runs" / "first"
    found = {split: textus.evaluate(run, split=split) for split in ("validation", "train")}
    corpus = textus.Corpus.open(run / "corpus")
    assert {split: one.num_bytes for split, one in found.items()} == {split: corpus.num_bytes(split) for split in found}
    assert found["train"].score("loss").data != found["validation"].score("loss").data


def test_a_part_that_is_not_there_and_two_things_at_once_are_refused(trained: Path) -> None:
    with pytest.raises(ArtefactError, match="has no test part"):
        textus.evaluate(trained / "runs" / "first", split="test")
    with pytest.raises(ConfigError, match="the train part as well"):
        textus.evaluate(trained / "runs" / "first", trained / "notes.md", split="train")


def test_half_the_width_is_near_and_told_of(trained: Path) -> None:
    opened = textus.load(trained / "runs" / "first")
    exact, half = (textus.evaluate(opened, trained / "notes.md", precision=one) for one in ("fp32", "bf16"))
    assert half.score("loss").value == pytest.approx(exact.score("loss").value, rel=2e-2)
    assert half.score("loss").value != exact.score("loss").value
    assert "bf16" in half.note and "fp32" not in exact.note


def test_a_tokenizer_that_changes_the_text_is_told_of(trained: Path) -> None:
    run = trained / "runs" / "first"
    opened = textus.load(run)
    assert "not lossless" not in textus.evaluate(opened, trained / "notes.md").note
    values = json.loads((run / FILE).read_text("utf-8")) | {"normalizer": {"type": "Lowercase"}}
    found = textus.evaluate(replace(opened, tokenizer=Tokenizer(json.dumps(values))), trained / "notes.md")
    assert "errors are over" in found.note and "not lossless" in found.note
    assert found.as_dict()["note"].startswith(found.note)
