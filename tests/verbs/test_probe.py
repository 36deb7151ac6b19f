from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textus
from textus.cli.main import main
from textus.errors import ConfigError, InputError

pytest.importorskip("sklearn")
FIRST = "runs/first"
COLOURS, BEASTS = ["red", "green", "blue", "white"], ["fox", "dog", "cat", "cow"]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts about colours or beasts, sentences whose words are one or the other, and texts with labels by chance."""
    folder, draw = tmp_path_factory.mktemp("sets"), np.random.default_rng(0)

    def text(kind: str) -> str:
        return f"it was {' '.join(draw.choice(COLOURS if kind == 'colour' else BEASTS, 3))} {draw.integers(10**6)}"

    kinds = ["colour", "beast"] * 70
    rows: dict[str, list[dict[str, Any]]] = {"texts": [{"text": text(kind), "label": kind} for kind in kinds]}
    rows["chance"] = [{**row, "label": int(draw.integers(2))} for row in rows["texts"]]
    rows["sentences"] = []
    for _ in range(60):
        words = draw.choice([*COLOURS, *BEASTS], 4).tolist()
        rows["sentences"].append({"tokens": words, "upos": ["ADJ" if word in COLOURS else "NOUN" for word in words]})
    rows["one"] = [{**row, "label": "same"} for row in rows["texts"]]
    rows["few"] = rows["texts"][:6]
    for name, lines in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture(autouse=True)
def here(trained: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> None:
    monkeypatch.chdir(trained)


def test_what_is_there_is_found_and_chance_is_not(sets: Path) -> None:
    found = textus.probe(FIRST, sets / "texts.jsonl")
    values = {row.name: row.agreement.values["accuracy"] for row in found.rows}
    assert list(values) == ["this model", "the same network, not trained", "TF-IDF of words", "most frequent"]
    assert values["this model"] > 0.9 and values["TF-IDF of words"] > 0.9 and values["most frequent"] < 0.8
    assert found.counts["test"] + found.counts["train"] == 140 and 0 < found.counts["apart"] < 60
    assert found.scores[0].name == "probe_accuracy" and found.scores[0].value == values["this model"]
    assert found == textus.probe(FIRST, sets / "texts.jsonl")
    chance = textus.probe(FIRST, sets / "chance.jsonl", sets / "chance.jsonl", most_texts=60)
    assert "60 of 60 test texts stand in training too" in chance.note
    mcc = [row.agreement for row in textus.probe(FIRST, sets / "chance.jsonl").rows]
    assert all(abs(one.values["mcc"]) < 4 * one.errors["mcc"] + 0.3 for one in mcc)


def test_words_are_told_apart_by_causal_and_masked_models(sets: Path, both_ways: Path) -> None:
    for run in (FIRST, both_ways / "runs/masked"):
        found = textus.probe(run, sets / "sentences.jsonl")
        values = {row.name: row.agreement.values for row in found.rows}
        assert values["this model"]["accuracy"] > 0.9
        assert values["most frequent for the word"]["accuracy"] == 1.0
        assert {one.pooling for one in found.layers} == {"mean", "first", "last"}
        assert found.labels == ("ADJ", "NOUN") and found.scores[0].unit == "of words"


def test_the_command_says_it(sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, texts = tmp_path / "page.html", str(sets / "texts.jsonl")
    assert main(["evaluate", FIRST, "--probe", texts, "--json", "--report", str(page)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"scores", "rows", "layers", "chosen", "train", "apart", "test"} <= set(told)
    assert "Accuracy by layer" in page.read_text()
    assert main(["evaluate", FIRST, "notes.md", "--probe", texts]) == 2
    assert "--probe reads labelled texts alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("one", "", "all 1[0-9]+ labels are `same`, so there is nothing to tell apart"),
        ("few", "texts", "labelled items are too few"),
        ("texts", "sentences", "other things are labelled"),
        ("none", "", "no such file"),
    ],
)
def test_what_nothing_can_be_learnt_from_is_refused(sets: Path, train: str, test: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        textus.probe(FIRST, sets / f"{train}.jsonl", sets / f"{test}.jsonl" if test else "")
    assert refused.value.hint


def test_a_label_that_training_has_not_is_missed(sets: Path, tmp_path: Path) -> None:
    (tmp_path / "new.jsonl").write_text('{"text": "it was red", "label": "colour"}\n{"text": "hm", "label": "new"}\n')
    found = textus.probe(FIRST, sets / "texts.jsonl", tmp_path / "new.jsonl")
    assert "1 test labels occur nowhere in training" in found.note
    assert all(row.agreement.values["accuracy"] <= 0.5 for row in found.rows)


def test_without_scikit_learn_it_is_named(sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ConfigError, match="needs scikit-learn") as refused:
        textus.probe(FIRST, sets / "texts.jsonl")
    assert "textus[probe]" in refused.value.hint


def test_room_for_features_bounds_the_texts(sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textus.verbs.probe.MOST_BYTES", 2 * 2 * 32 * 4 * 80)
    found = textus.probe(FIRST, sets / "texts.jsonl")
    assert 70 <= found.counts["train"] + found.counts["test"] <= 80
