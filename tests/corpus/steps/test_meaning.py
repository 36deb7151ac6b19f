"""Documents that say the same in other words leave, whoever does the work, and are told of."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textus.corpus.config import CorpusConfig
from textus.corpus.duplicates.config import SemanticConfig
from textus.corpus.pipeline import build
from textus.corpus.steps.meaning import Embedding
from textus.corpus.steps.options import Models
from textus.corpus.trail import Trail
from textus.corpus.work import carriers
from textus.corpus.work.config import WorkConfig
from textus.errors import ConfigError, CorpusError

PAIRS = [(f"word{number}", f"term{number}") for number in range(200)]
"""Two ways to say the same."""
MEANINGS = {way: number for number, both in enumerate(PAIRS) for way in both}


class Dictionary:
    """Embeds a text by what its words mean; counts how many it was asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += len(texts)
        rows = np.zeros((len(texts), len(PAIRS)), np.float32)
        for row, text in zip(rows, texts, strict=True):
            np.add.at(row, [MEANINGS[word] for word in text.split() if word in MEANINGS], 1)
        return rows


def settings(**semantic: Any) -> CorpusConfig:
    return CorpusConfig(
        semantic=SemanticConfig(model="a dictionary", **semantic), work=WorkConfig(workers=1, task_mb=0.01)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty documents, and every third once more in other words; one of nothing that has a meaning."""
    draw, texts = random.Random(1), []
    for number in range(60):
        drawn = draw.choices(range(len(PAIRS)), k=40)
        texts.append(" ".join(PAIRS[meaning][0] for meaning in drawn) + " and more.")
        if number % 3 == 0:
            texts.append(" ".join(PAIRS[meaning][1] for meaning in drawn))
    texts += ["Nothing that it knows.", texts[0]]
    place = tmp_path_factory.mktemp("texts")
    for name, part in (("a", texts[:40]), ("b", texts[40:])):
        (place / f"{name}.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in part), "utf-8")
    return place


def tree(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(place.iterdir())}


@pytest.mark.parametrize("centred", [True, False])
def test_what_means_the_same_leaves_and_is_told_of(folder: Path, tmp_path: Path, centred: bool) -> None:
    corpus = build(
        [folder], tmp_path / "corpus", settings(centred=centred), models=Models(None, Embedding("1", Dictionary()))
    )
    record = json.loads((corpus.directory / "report.json").read_text("utf-8"))
    assert record["documents"]["dropped"] == {"duplicate": 1, "same in other words": 20}
    assert record["clusters"]["compared by meaning"] == 81
    assert record["clusters"]["cosine of dropped to kept, least"] > 0.99
    assert record["clusters"]["cosine by chance, one in a hundred"] < 0.95
    shown = [row for row in record["samples"] if row["what"] == "dropped: same in other words"]
    assert len(shown) == 20 and all(
        row["before"].startswith("term") and row["after"].startswith("word") for row in shown
    )
    assert "dropped: same in other words" in corpus.report().text()
    steps = {step.number: step for step in Trail.open(corpus)}
    for step in steps.values():
        if step.decision.reason == "same in other words":
            kept = steps[step.decision.match]
            assert not kept.decision.reason and step.decision.score == pytest.approx(1, abs=1e-3)
            said = [MEANINGS[word] for word in step.document.text.split()]
            assert said == [MEANINGS[word] for word in kept.document.text.split() if word in MEANINGS]


def test_any_number_of_workers_drops_the_same(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carriers, "_WORTH_PROCESSES", 0)
    found = []
    for workers in (1, 2, 4):
        work = WorkConfig(workers=workers, task_mb=0.002)
        config = CorpusConfig(semantic=SemanticConfig(model="a dictionary"), work=work)
        place = tmp_path / str(workers)
        build([folder], place, config, models=Models(None, Embedding("1", Dictionary())))
        found.append(tree(place))
    assert found[0] == found[1] == found[2]


def test_nothing_is_embedded_twice(folder: Path, tmp_path: Path) -> None:
    model = Dictionary()
    texts, place, models = tmp_path / "in", tmp_path / "corpus", Models(None, Embedding("1", model))
    shutil.copytree(folder, texts)
    first = build([texts], place, settings(), models=models).fingerprint
    assert model.asked == 82
    for config in (settings(), settings(threshold=0.999_9), settings()):
        found = build([texts], place, config, models=models).fingerprint
    assert (found, model.asked) == (first, 82)
    (texts / "c.jsonl").write_text(json.dumps({"text": "One more, of which nobody knows what it means."}), "utf-8")
    build([texts], place, settings(), models=models)
    assert model.asked == 83
    build([texts], place, settings(), models=Models(None, Embedding("2", model)))
    assert model.asked == 2 * 83


def test_a_model_that_breaks_is_told_and_what_was_done_before_stays(folder: Path, tmp_path: Path) -> None:
    class Breaks(Dictionary):
        def __call__(self, texts: Sequence[str]) -> np.ndarray:
            if self.asked:
                return super().__call__(texts)[:, : len(PAIRS) // 2]
            return super().__call__(texts)

    with pytest.raises(CorpusError, match="embeddings of 200 and of 100 numbers"):
        build([folder], tmp_path / "corpus", settings(), models=Models(None, Embedding("1", Breaks())))
    assert not (tmp_path / "corpus").exists()


def test_nobody_drops_by_meaning_who_drops_nothing() -> None:
    with pytest.raises(ConfigError, match="`deduplicate` is none"):
        CorpusConfig(deduplicate="none", semantic=SemanticConfig(model="runs/first"))
