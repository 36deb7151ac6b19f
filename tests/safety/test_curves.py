"""Curves agree with scikit-learn's, and calibration repairs what was spoilt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.model.config import ModelConfig
from textus.model.headed import Headed, TaskConfig
from textus.safety import calibration
from textus.safety.curves import Curve, area, average_precision, calibration_error, gain


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=4, max_size=40))
def test_areas_are_those_of_scikit_learn(pairs: list[tuple[int, bool]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    scores = np.asarray([score / 5 for score, _ in pairs])
    truth = np.asarray([true for _, true in pairs])
    if min(truth.sum(), (~truth).sum()) < 2:
        return
    found = Curve.of("hate", scores, truth, 0.6)
    assert found.area.value == pytest.approx(metrics.roc_auc_score(truth, scores))
    assert found.precision.value == pytest.approx(metrics.average_precision_score(truth, scores))
    assert found.found.hits == sum(score >= 0.6 and true for score, true in zip(scores, truth, strict=True))


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    draw, hits = np.random.Generator(np.random.Philox(5)), 0

    def some(count: int) -> tuple[Any, Any]:
        truth = np.arange(count) < 0.3 * count
        return draw.random(count) + 0.5 * truth, truth

    wanted = average_precision(*some(20_000)).value
    for _ in range(40):
        found = average_precision(*some(200))
        hits += found.low <= wanted <= found.high
    assert hits >= 34


def test_temperature_undoes_what_made_logits_too_sure() -> None:
    draw = np.random.Generator(np.random.Philox(1))
    true = draw.normal(0, 2, (4000, 2))
    known = (draw.random((4000, 2)) < 1 / (1 + np.exp(-true))).astype(np.int64)
    known[::5, 1] = -1
    spoilt = (true * [4.0, 0.5]).astype(np.float32)
    found = calibration.temperatures(spoilt, known)
    assert found == pytest.approx([4.0, 0.5], rel=0.15)
    before = calibration_error(calibration.sigmoid(spoilt)[:, 0].astype(float), known[:, 0] == 1)
    after = calibration_error(calibration.sigmoid(spoilt / found[0])[:, 0].astype(float), known[:, 0] == 1)
    assert after < 0.03 < before
    # with few texts of one kind, the temperature of all together
    few = np.where(np.arange(4000)[:, None] < 9, known, 0)
    assert len(set(calibration.temperatures(spoilt, few))) == 1


def test_the_temperature_is_in_the_weights(shape: dict[str, Any]) -> None:
    model = Headed(ModelConfig(**shape), TaskConfig("classify", ("hate", "violence"), several=True), seed=1)
    with torch.no_grad():
        assert model.classifier_bias is not None
        model.classifier_bias.weight.copy_(torch.tensor([0.5, -1.0]))
        tokens = torch.tensor([[0, 7, 9]])
        before = model.logits(model.pooled(tokens))
        calibration.calibrate(model, [2.0, 0.5])
        assert torch.allclose(model.logits(model.pooled(tokens)), before / torch.tensor([2.0, 0.5]), atol=1e-6)


def test_at_most_so_many_harmless_texts_reach_a_threshold() -> None:
    draw = np.random.Generator(np.random.Philox(2))
    chances, known = draw.random((500, 2)), draw.integers(-1, 2, (500, 2))
    for column, threshold in enumerate(calibration.thresholds(chances, known, 0.05)):
        harmless = chances[known[:, column] == 0, column]
        assert 0.03 < (harmless >= threshold).mean() <= 0.05
    assert calibration.thresholds(np.ones((2, 1)), np.ones((2, 1), np.int64), 0.05) == [0.5]


def test_a_gain_is_paired() -> None:
    """Scores that share their errors are told apart where intervals of their own overlap."""
    draw = np.random.Generator(np.random.Philox(3))
    truth = np.arange(400) < 200
    shared = draw.random(400) + 0.4 * truth
    better = shared + 0.05 * truth
    found = gain(better, shared, truth)
    assert found.value == pytest.approx(area(better, truth).value - area(shared, truth).value)
    assert found.low > 0 and area(better, truth).low < area(shared, truth).high
    back = gain(shared, better, truth)
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low))
    noise = gain(draw.random(400), np.zeros(400), truth)  # nothing is learnt from what says the same of all
    assert noise.high - noise.low == pytest.approx(2 * 1.959964 * 0.0289, rel=0.1)
