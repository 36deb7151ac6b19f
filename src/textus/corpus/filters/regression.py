"""Logistic regression on sparse rows, the same to the last bit whenever it is run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index

Floats = NDArray[np.float64]
_ROUNDS, _INNER_ROUNDS, _TOLERANCE = 50, 60, 1e-4


@dataclass(frozen=True)
class Rows:
    """Rows of a sparse matrix: row `i` has `values` in `columns` from `offsets[i]` to `offsets[i + 1]`."""

    columns: NDArray[np.int32]
    values: NDArray[np.float32]
    offsets: Index
    width: int

    @classmethod
    def joined(cls, parts: Sequence[Rows], width: int) -> Rows:
        """Put the rows of some matrices below each other."""
        counts = np.concatenate([np.zeros(1, np.int64), *(np.diff(part.offsets) for part in parts)])
        columns = np.concatenate([np.zeros(0, np.int32), *(part.columns for part in parts)])
        values = np.concatenate([np.zeros(0, np.float32), *(part.values for part in parts)])
        return cls(columns, values, np.cumsum(counts), width)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def chosen(self, mask: NDArray[np.bool_]) -> Rows:
        """Return the rows for which `mask` holds."""
        counts = np.diff(self.offsets)
        entries = np.repeat(mask, counts)
        offsets = np.append(0, np.cumsum(counts[mask]))
        return Rows(self.columns[entries], self.values[entries], offsets, self.width)

    def times(self, vector: Floats | NDArray[np.float32]) -> Floats:
        """Multiply the matrix by a vector."""
        products = np.zeros(len(self))
        some = np.flatnonzero(np.diff(self.offsets))
        if len(some):
            products[some] = np.add.reduceat(self.values * vector[self.columns], self.offsets[some], dtype=np.float64)
        return products

    def transposed_times(self, vector: Floats) -> Floats:
        """Multiply the transposed matrix by a vector."""
        weights = self.values * np.repeat(vector, np.diff(self.offsets))
        sums: Floats = np.bincount(self.columns, weights, minlength=self.width).astype(np.float64, copy=False)
        return sums


def fit(rows: Rows, targets: Floats, shares: Floats, strength: float) -> tuple[Floats, float]:
    """Return the weights and the intercept that make `sum(shares * log loss) + strength / 2 * |weights|^2` least.

    Newton's method, each step by conjugate gradients (Lin, Weng and Keerthi 2008); the intercept is not held down.
    """
    solution = np.zeros(rows.width + 1)
    held = np.full(rows.width + 1, strength)
    held[-1] = 0.0

    def product(vector: Floats) -> Floats:
        margins: Floats = rows.times(vector[:-1]) + vector[-1]
        return margins

    def transposed(vector: Floats) -> Floats:
        return np.append(rows.transposed_times(vector), vector.sum())

    def bent(curvature: Floats, vector: Floats) -> Floats:
        image: Floats = transposed(curvature * product(vector)) + held * vector
        return image

    def loss(at: Floats) -> float:
        margins = product(at)
        return float((shares * (np.logaddexp(0, margins) - targets * margins)).sum() + (held * at * at).sum() / 2)

    first = 0.0
    for _ in range(_ROUNDS):
        predicted = sigmoid(product(solution))
        gradient = transposed(shares * (predicted - targets)) + held * solution
        size = float(np.sqrt(gradient @ gradient))
        first = first or size
        if size <= _TOLERANCE * first:
            break
        step = _solve(partial(bent, shares * predicted * (1 - predicted)), -gradient)
        before, slope, length = loss(solution), float(gradient @ step), 1.0
        while loss(solution + length * step) > before + 1e-4 * length * slope and length > 1e-6:
            length /= 2
        solution = solution + length * step
    return solution[:-1], float(solution[-1])


def _solve(product: Callable[[Floats], Floats], target: Floats) -> Floats:
    """Return about `x` with `product(x) == target`, by conjugate gradients, until a tenth of the target is left."""
    solution, rest = np.zeros_like(target), target
    direction, size = rest, float(rest @ rest)
    enough = size / 100
    for _ in range(_INNER_ROUNDS):
        image = product(direction)
        bend = float(direction @ image)
        if size <= enough or bend <= 0:
            break
        length = size / bend
        solution, rest = solution + length * direction, rest - length * image
        size, previous = float(rest @ rest), size
        direction = rest + size / previous * direction
    return solution


def sigmoid(margins: Floats) -> Floats:
    """Return the probability of a margin, without overflow."""
    probabilities: Floats = np.exp(-np.logaddexp(0, -margins))
    return probabilities


def area_under_curve(good: Floats, bad: Floats) -> tuple[float, float]:
    """Return the probability that a good one scores above a bad one, ties half, and its standard error.

    DeLong, DeLong and Clarke-Pearson 1988.

    >>> area_under_curve(np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0]))[0]
    0.75
    """
    over_bad, under_good = _placements(good, bad), 1 - _placements(bad, good)
    variance = over_bad.var(ddof=1) / len(good) + under_good.var(ddof=1) / len(bad)
    return float(over_bad.mean()), float(np.sqrt(variance))


def difference_of_areas(good: Sequence[Floats], bad: Sequence[Floats]) -> tuple[float, float]:
    """Return by how much the second of two scores of the same things has the larger area, and its standard error.

    The scores are paired, so what both find hard does not count (DeLong, DeLong and Clarke-Pearson 1988).

    >>> same = np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0])
    >>> difference_of_areas([same[0]] * 2, [same[1]] * 2)
    (0.0, 0.0)
    """
    first, second = zip(good, bad, strict=True)
    over_bad = _placements(*second) - _placements(*first)
    under_good = _placements(*first[::-1]) - _placements(*second[::-1])
    variance = over_bad.var(ddof=1) / len(over_bad) + under_good.var(ddof=1) / len(under_good)
    return float(over_bad.mean()), float(np.sqrt(variance))


def _placements(of: Floats, among: Floats) -> Floats:
    """Return for each value the share of the others that lie below it, ties half."""
    ordered = np.sort(among)
    twice: Index = np.searchsorted(ordered, of, "left") + np.searchsorted(ordered, of, "right")
    return twice / (2 * len(among))
