"""Shares with intervals, and thresholds for a share of false alarms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Rate:
    """A share of some texts."""

    hits: int
    count: int

    @property
    def value(self) -> float:
        """Return the share; NaN of no texts."""
        return self.hits / self.count if self.count else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Return Wilson's 95 % interval (Wilson 1927).

        >>> [round(end, 4) for end in Rate(0, 10).interval], [round(end, 4) for end in Rate(5, 10).interval]
        ([0.0, 0.2775], [0.2366, 0.7634])
        """
        if not self.count:
            return 0.0, 1.0
        n, share, square = self.count, self.value, _Z * _Z
        centre = (share + square / (2 * n)) / (1 + square / n)
        half = _Z / (1 + square / n) * math.sqrt(share * (1 - share) / n + square / (4 * n * n))
        return max(0.0, centre - half), min(1.0, centre + half)

    def __str__(self) -> str:
        if not self.count:
            return ""
        low, high = self.interval
        return f"{self.value:.3f} [{low:.3f}, {high:.3f}]"


def sign_test(more: int, fewer: int) -> float:
    """Return how likely so uneven a split of changes is, either way, if each direction were as likely (exact).

    >>> sign_test(5, 0), sign_test(3, 3), sign_test(0, 0)
    (0.0625, 1.0, 1.0)
    """
    count = more + fewer
    tail = sum(math.comb(count, hits) for hits in range(min(more, fewer) + 1))
    both: float = 2 * tail / 2**count
    return min(1.0, both)


def threshold_at(harmless: Sequence[float], false_alarms: float) -> float:
    """Return the lowest score from which on at most this share of harmless texts would count as found.

    >>> threshold_at([0.1, 0.2, 0.3, 0.4], 0.25)
    0.4
    """
    ordered = np.sort(np.asarray(harmless, float))[::-1]
    allowed = int(false_alarms * len(ordered))
    if allowed >= len(ordered):
        return 0.0
    # the first that must not count, and those that are equal to it
    return min(1.0, float(np.nextafter(ordered[allowed], 2.0))) if allowed == 0 else _above(ordered, allowed)


def _above(ordered: np.ndarray, allowed: int) -> float:
    above = ordered[ordered > ordered[allowed]]
    return float(above[-1]) if len(above) else min(1.0, float(np.nextafter(ordered[0], 2.0)))


def temperature(logits: Sequence[float], found: Sequence[bool]) -> float:
    """Return the number by which to divide logits so that their probabilities are likeliest (Guo et al. 2017)."""
    scores, truth = np.asarray(logits, float), np.asarray(found, float)

    def loss(log_temperature: float) -> float:
        margins = scores / math.exp(log_temperature)
        return float((np.logaddexp(0, margins) - truth * margins).sum())

    low, high, golden = -4.0, 4.0, (math.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return math.exp((low + high) / 2)
