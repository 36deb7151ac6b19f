"""Logistic regression and the area under the curve, held against dense and brute-force ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.filters.regression import Rows, area_under_curve, fit, sigmoid


def sparse(dense: np.ndarray) -> Rows:
    row, column = np.nonzero(dense)
    offsets = np.searchsorted(row, np.arange(len(dense) + 1))
    return Rows(column.astype(np.int32), dense[row, column].astype(np.float32), offsets, dense.shape[1])


@given(st.integers(0, 2**32 - 1))
def test_products_are_those_of_the_dense_matrix(seed: int) -> None:
    generator = np.random.default_rng(seed)
    dense = generator.integers(-2, 3, (generator.integers(1, 6), 4)).astype(float)
    rows = sparse(dense)
    assert np.allclose(rows.times(np.arange(4.0)), dense @ np.arange(4.0))
    assert np.allclose(rows.transposed_times(np.arange(float(len(dense)))), dense.T @ np.arange(float(len(dense))))
    mask = generator.integers(0, 2, len(dense)).astype(bool)
    assert np.allclose(rows.chosen(mask).times(np.ones(4)), dense[mask] @ np.ones(4))
    assert np.allclose(Rows.joined([rows, rows], 4).times(np.ones(4)), np.concatenate([dense, dense]) @ np.ones(4))


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 2))
def test_no_step_away_from_the_solution_is_better(seed: int, strength: float) -> None:
    generator = np.random.default_rng(seed)
    dense = generator.normal(size=(40, 5)) * (generator.random((40, 5)) < 0.5)
    dense = dense.astype(np.float32).astype(float)
    targets, shares = (dense[:, 0] + generator.normal(size=40) > 0).astype(float), generator.uniform(0.5, 2, 40)

    def loss(weights: np.ndarray, intercept: float) -> float:
        margins = dense @ weights + intercept
        return float((shares * (np.logaddexp(0, margins) - targets * margins)).sum() + strength / 2 * weights @ weights)

    weights, intercept = fit(sparse(dense), targets, shares, strength)
    least = loss(weights, intercept)
    for step in np.eye(5) * 0.01:
        assert loss(weights + step, intercept) > least
        assert loss(weights - step, intercept) > least
    assert min(loss(weights, intercept + 0.01), loss(weights, intercept - 0.01)) > least


@given(
    st.lists(st.integers(0, 5).map(float), min_size=2, max_size=12),
    st.lists(st.integers(0, 5).map(float), min_size=2, max_size=12),
)
def test_the_area_counts_pairs(good: list[float], bad: list[float]) -> None:
    area, error = area_under_curve(np.array(good), np.array(bad))
    assert area == pytest.approx(np.mean([(a > b) + (a == b) / 2 for a in good for b in bad]))
    assert 0 <= error <= 1


def test_the_error_of_the_area_is_that_of_drawing_again() -> None:
    generator = np.random.default_rng(0)
    draws = [area_under_curve(generator.normal(1, 1, 60), generator.normal(0, 1, 40)) for _ in range(400)]
    areas, errors = np.array(draws).T
    assert errors.mean() == pytest.approx(areas.std(), rel=0.1)


def test_probabilities_do_not_overflow() -> None:
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]
