"""How well scores tell texts that have something from those that have not, each figure with an interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from textus.corpus.filters.regression import area_under_curve, difference_of_areas
from textus.safety.rates import Rate

_DRAWS = 200
_BINS = 15
_Z = 1.959964
Scores = Float[ndarray, " texts"]
Truth = Bool[ndarray, " texts"]


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def area(scores: Scores, truth: Truth) -> Estimate:
    """Return the area under the ROC curve, with DeLong's interval."""
    value, error = area_under_curve(scores[truth], scores[~truth])
    return Estimate(value, max(0.0, value - _Z * error), min(1.0, value + _Z * error))


def gain(scores: Scores, others: Scores, truth: Truth) -> Estimate:
    """Return the area of scores less that of others on the same texts, with the paired interval."""
    value, error = difference_of_areas([others[truth], scores[truth]], [others[~truth], scores[~truth]])
    return Estimate(value, value - _Z * error, value + _Z * error)


def average_precision(scores: Scores, truth: Truth) -> Estimate:
    """Return the area under precision over recall, with a bootstrap interval: chance reaches the share of true ones.

    >>> average_precision(np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False])).value
    0.8333333333333333
    """
    bits = np.random.Generator(np.random.Philox(0))
    true, false = np.flatnonzero(truth), np.flatnonzero(~truth)
    drawn = []
    for _ in range(_DRAWS):  # of each kind as many as there are: no draw is without one
        rows = np.concatenate([bits.choice(true, len(true)), bits.choice(false, len(false))])
        drawn.append(_precision(scores[rows], truth[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(_precision(scores, truth), float(low), float(high))


def _precision(scores: Scores, truth: Truth) -> float:
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    # texts of equal score come all at once
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    precision, recall = hits[last] / (last + 1), hits[last] / hits[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def calibration_error(chances: Scores, truth: Truth) -> float:
    """Return by how much probabilities miss the shares that are true, over 15 bins of equal width (ECE).

    >>> calibration_error(np.array([0.8, 0.8, 0.8, 0.8]), np.array([True, True, True, False]))
    0.050000000000000044
    """
    bins = np.minimum((chances * _BINS).astype(np.int64), _BINS - 1)
    told = np.bincount(bins, chances, _BINS)
    true = np.bincount(bins, truth.astype(float), _BINS)
    return float(np.abs(told - true).sum() / len(chances))


@dataclass(frozen=True)
class Curve:
    """What the scores of one category are worth on the texts of which it is known."""

    category: str
    true: int
    false: int
    area: Estimate
    precision: Estimate
    found: Rate
    """Of the texts that have it, those that reach the threshold."""
    alarms: Rate
    """Of those that have it not."""

    @classmethod
    def of(cls, category: str, scores: Scores, truth: Truth, threshold: float) -> Curve:
        """Measure one category."""
        reached = scores >= threshold
        true, false = int(truth.sum()), int((~truth).sum())
        return cls(
            category,
            true,
            false,
            area(scores, truth),
            average_precision(scores, truth),
            Rate(int((reached & truth).sum()), true),
            Rate(int((reached & ~truth).sum()), false),
        )
