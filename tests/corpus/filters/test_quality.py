"""The learnt score: it learns what can be learnt, says so honestly, and comes back from disk as it was."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from textus.corpus.batch import TextBatch
from textus.corpus.filters.quality import QualityModel, learnt, train_quality
from textus.errors import ArtefactError, CorpusError

COMMON = [f"word{number}" for number in range(50)]


def texts(rare: list[str], number: int, seed: int) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(generator.choices(COMMON + rare, k=120)) for _ in range(number)]


GOOD, BAD = texts(["fine", "lovely"], 200, 1), texts(["awful", "spam"], 120, 2)


@pytest.fixture(scope="module")
def model() -> QualityModel:
    return train_quality(GOOD, BAD)


def test_what_differs_is_learnt(model: QualityModel) -> None:
    scores = model.score(TextBatch([*texts(["fine", "lovely"], 50, 3), *texts(["awful", "spam"], 50, 4)]))
    assert (scores[:50] > 0.5).mean() > 0.9
    assert (scores[50:] < 0.5).mean() > 0.9
    assert model.facts.area_under_curve > 0.95
    assert model.facts.good + model.facts.bad + model.facts.held_out == len(GOOD) + len(BAD)


def test_where_nothing_can_be_learnt_the_model_says_so() -> None:
    facts = train_quality(texts([], 300, 5), texts([], 300, 6)).facts
    assert abs(facts.area_under_curve - 0.5) < 3 * facts.error


def test_copies_are_not_held_out_from_themselves() -> None:
    facts = train_quality(texts([], 60, 7) * 5, texts([], 60, 8) * 5).facts
    assert abs(facts.area_under_curve - 0.5) < 0.25


def test_training_and_scoring_give_the_same_bits_again(model: QualityModel) -> None:
    again = train_quality(iter(GOOD), iter(BAD))
    assert again.weights.tobytes() == model.weights.tobytes()
    assert again.facts == model.facts
    together = model.score(TextBatch([*GOOD[:5], "", *BAD[:5]]))
    alone = np.concatenate([model.score(TextBatch([text])) for text in [*GOOD[:5], "", *BAD[:5]]])
    assert together.tobytes() == alone.tobytes()
    assert np.isnan(together[5])


def test_a_model_comes_back_from_disk(model: QualityModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    loaded = QualityModel.load(tmp_path)
    assert loaded.facts == model.facts
    assert loaded.score(TextBatch(GOOD[:3])).tobytes() == model.score(TextBatch(GOOD[:3])).tobytes()


@pytest.mark.parametrize("damage", ["nothing", "half", "text", "facts", "shape"])
def test_damaged_models_are_refused(model: QualityModel, tmp_path: Path, damage: str) -> None:
    if damage != "nothing":
        model.save(tmp_path)
    weights = tmp_path / "quality.npz"
    if damage == "half":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "text":
        weights.write_text("no archive")
    elif damage == "facts":
        (tmp_path / "quality.json").write_text('{"good": 1}')
    elif damage == "shape":
        np.savez(weights, weights=np.zeros(3, np.float32), intercept=0.0)
    with pytest.raises(ArtefactError, match="model of quality"):
        QualityModel.load(tmp_path)


@pytest.mark.parametrize(
    ("good", "bad", "name"), [([], BAD, "good"), (GOOD, BAD[:5], "bad"), (GOOD, [" "] * 100, "bad")]
)
def test_too_few_texts_are_named(good: list[str], bad: list[str], name: str) -> None:
    with pytest.raises(CorpusError, match=f"quality.{name}: .* too few"):
        train_quality(good, bad)


def test_learnt_columns_are_those_for_which_there_is_a_model(model: QualityModel) -> None:
    given = ["fine words", "awful spam"]
    assert learnt(given, TextBatch(given)) == {}
    columns = learnt(given, TextBatch(given), model, lambda some: np.array([len(text) for text in some], np.float32))
    assert list(columns) == ["quality", "perplexity"]
    assert columns["perplexity"].tolist() == [10, 10]
