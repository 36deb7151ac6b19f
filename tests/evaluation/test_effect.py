from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from textus.errors import ConfigError
from textus.evaluation.effect import effect, holm

stats = pytest.importorskip("scipy.stats")
SIZES = np.array([100, 50, 200, 150, 80])
TABLES = arrays(np.float64, (3, 5), elements=st.floats(0.125, 500, width=32))


@given(TABLES, TABLES)
def test_exchanging_the_arms_turns_the_difference_round(before: np.ndarray, after: np.ndarray) -> None:
    one, other = effect(before, after, SIZES), effect(after, before, SIZES)
    assert one.difference == pytest.approx(-other.difference, abs=1e-12)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=1e-9)
    assert one.p_value == pytest.approx(other.p_value)


@given(TABLES, TABLES)
def test_the_interval_leaves_out_nothing_exactly_where_p_says_so(before: np.ndarray, after: np.ndarray) -> None:
    found = effect(before, after, SIZES)
    if abs(found.p_value - 0.05) > 1e-6 and found.high > found.low:
        assert found.is_told == (found.p_value < 0.05)


def test_with_documents_all_alike_it_is_the_t_test_over_seeds() -> None:
    rng = np.random.default_rng(0)
    shift = rng.normal(0.2, 0.1, (4, 1))
    before = rng.random((4, 1)) * np.ones((4, 6))
    found = effect(before, before + shift, np.full(6, 10))
    by_seed = shift[:, 0] / math.log(2) / 10
    oracle = stats.ttest_1samp(by_seed, 0)
    assert found.p_value == pytest.approx(oracle.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval(0.95)))


def test_with_seeds_all_alike_it_is_the_t_test_over_documents() -> None:
    rng = np.random.default_rng(1)
    before = np.repeat(rng.random((1, 30)), 3, axis=0)
    shift = rng.normal(0.1, 0.3, 30)
    found = effect(before, before + shift, np.full(30, 7))
    assert found.p_value == pytest.approx(stats.ttest_1samp(shift, 0).pvalue)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    held, truth, sizes = 0, 0.05, np.full(40, 1000)
    for _ in range(400):
        bits = truth + rng.normal(0, 0.01, (3, 1)) + rng.normal(0, 0.05, (1, 40)) + rng.normal(0, 0.02, (3, 40))
        found = effect(np.zeros((3, 40)), bits * sizes * math.log(2), sizes)
        held += found.low <= truth <= found.high
    assert held >= 0.93 * 400


def test_equal_arms_differ_by_nothing() -> None:
    found = effect(np.ones((3, 5)), np.ones((3, 5)), SIZES)
    assert (found.difference, found.low, found.high, found.p_value, found.is_told) == (0, 0, 0, 1, False)


def test_one_seed_gives_no_interval() -> None:
    with pytest.raises(ConfigError, match="1 seeds and 5 documents"):
        effect(np.ones((1, 5)), np.ones((1, 5)), SIZES)


@given(st.lists(st.floats(0, 1), max_size=6))
def test_correction_for_several_changes_is_that_of_holm(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for level in (0.01, 0.05, 0.2):
        left, rejected = sorted(enumerate(p_values), key=lambda pair: pair[1]), set()
        for rank, (place, p_value) in enumerate(left):  # Holm's own description, step down
            if p_value * (len(left) - rank) > level:
                break
            rejected.add(place)
        assert {place for place, p_value in enumerate(adjusted) if p_value <= level} == rejected
