"""Intervals, thresholds and temperatures are those that the textbooks define."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.safety.rates import Rate, sign_test, temperature, threshold_at


@given(st.integers(1, 400).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_wilson_is_scipys(pair: tuple[int, int]) -> None:
    stats = pytest.importorskip("scipy.stats")
    interval = stats.binomtest(*pair).proportion_ci(0.95, method="wilson")
    assert Rate(*pair).interval == pytest.approx((interval.low, interval.high), abs=1e-9)


def test_a_rate_of_nothing_is_none() -> None:
    assert math.isnan(Rate(0, 0).value)
    assert str(Rate(0, 0)) == ""
    assert str(Rate(1, 2)) == "0.500 [0.095, 0.905]"


@given(st.lists(st.floats(0, 0.99), min_size=1, max_size=60), st.floats(0, 1))
def test_no_more_false_alarms_than_asked_for_and_no_fewer_than_ties_allow(scores: list[float], share: float) -> None:
    level = threshold_at(scores, share)
    alarms = sum(score >= level for score in scores)
    assert alarms <= int(share * len(scores))
    lower = max((score for score in scores if score < level), default=None)
    if lower is not None:
        assert sum(score >= lower for score in scores) > int(share * len(scores))


def test_the_temperature_undoes_overconfidence() -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(0, 2, 20_000)
    found = generator.random(20_000) < 1 / (1 + np.exp(-logits))
    assert temperature(list(3 * logits), list(found)) == pytest.approx(3, rel=0.08)


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_sign_test_is_scipys(more: int, fewer: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    wanted = stats.binomtest(more, more + fewer, 0.5).pvalue if more + fewer else 1.0
    assert sign_test(more, fewer) == pytest.approx(wanted)
