"""The difference of two models on the same text, document by document: how large, how sure, how often.

A metric is a function of sums over documents (or blocks, where documents are few), so that it can be taken of any
sample of them. What one model finds hard the other mostly does too: the pairs are resampled, not the models.

```
interval   BCa bootstrap over the pairs (Efron 1987): 10,000 samples with replacement
p          sign-flip test: if the models were alike, either could have given either loss of a document;
           all exchanges of up to 14 pairs, 10,000 random ones of more, the observed one counted among them
win rate   share of the pairs in which the second model needs less; half a win where both need the same
```
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from textus.errors import NotComparable
from textus.evaluation.estimate import Units

Metric = Literal["loss", "perplexity", "bits_per_byte", "masked_loss", "bits_per_byte_bound"]
OF_BYTES: tuple[Metric, ...] = ("bits_per_byte", "bits_per_byte_bound")
"""Metrics whose size is that of the text, whatever the tokens."""
CONFIDENCE = 0.95
SAMPLES = 10_000
_EXACT = 14
_AT_ONCE = 2**21
_TIE = 1e-12
"""What two equal numbers may differ by, in share, when their parts were added in another order."""
_NORMAL = NormalDist()
Sums = Float[ndarray, " samples"]
Formula = Callable[[Sums, float | Sums], Sums]
_FORMULAS: dict[Metric, Formula] = {
    "loss": lambda nats, size: nats / size,
    "perplexity": lambda nats, size: np.exp(np.minimum(nats / size, 700.0)),
    "bits_per_byte": lambda nats, size: nats / math.log(2) / size,
    "masked_loss": lambda nats, size: nats / size,
    "bits_per_byte_bound": lambda nats, size: nats / math.log(2) / size,
}


@dataclass(frozen=True)
class Comparison:
    """The second model less the first: below 0, the second is better."""

    metric: Metric
    difference: float
    low: float
    high: float
    p_value: float
    win_rate: float
    win_error: float
    """Standard error of the win rate."""
    pairs: int
    kind: Literal["document", "block"]

    @property
    def is_told(self) -> bool:
        """Tell whether the interval leaves out 0."""
        return not self.low <= 0 <= self.high

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return dict(vars(self))


def paired(first: Units, second: Units) -> tuple[Units, Units]:
    """Return what was measured of both, or raise `NotComparable` where their blocks of a text differ."""
    if len(first.nats) != len(second.nats) or first.kind != second.kind:
        raise NotComparable(
            f"the texts are too few to compare models document by document: {len(first.nats)} {first.kind}s of the one "
            f"against {len(second.nats)} of the other",
            hint="compare on 20 documents or more",
        )
    return first, second


def compare(first: Units, second: Units, metric: Metric, seed: int = 0) -> Comparison:
    """Compare what two models were measured to on the same documents, pair by pair.

    The sizes (tokens, or bytes for bits per byte) are those of the first: they are the same for both where the metric
    may be compared.
    """
    assert len(first.nats) == len(second.nats) and first.kind == second.kind
    formula, generator = _FORMULAS[metric], np.random.default_rng(seed)
    sizes = (first.num_bytes if metric in OF_BYTES else first.tokens).astype(np.float64)
    pairs = _Pairs(first.nats, second.nats, sizes, formula)
    everything = np.ones((1, len(sizes)))
    difference = float(pairs.differences(everything)[0])
    low, high = _interval(pairs, difference, generator)
    wins = (np.sign(first.nats - second.nats) + 1) / 2
    rate, count = float(wins.mean()), len(wins)
    error = float(wins.std(ddof=1)) / math.sqrt(count) if count > 1 else 0.0
    p_value = _p_value(pairs, difference, generator)
    return Comparison(metric, difference, low, high, p_value, rate, error, count, first.kind)


@dataclass(frozen=True, eq=False)
class _Pairs:
    first: Float[ndarray, " pairs"]
    second: Float[ndarray, " pairs"]
    sizes: Float[ndarray, " pairs"]
    formula: Formula

    def __len__(self) -> int:
        return len(self.sizes)

    def differences(self, weights: Float[ndarray, "samples pairs"]) -> Sums:
        """Return the difference in each sample, in which pairs stand as often as `weights` say."""
        size = weights @ self.sizes
        found: Sums = self.formula(weights @ self.second, size) - self.formula(weights @ self.first, size)
        return found

    def exchanged(self, which: Bool[ndarray, "samples pairs"]) -> Sums:
        """Return the difference where in some pairs the models have changed places."""
        change = which @ (self.second - self.first)
        size = float(self.sizes.sum())
        found: Sums = self.formula(self.second.sum() - change, size) - self.formula(self.first.sum() + change, size)
        return found


def _interval(pairs: _Pairs, difference: float, generator: np.random.Generator) -> tuple[float, float]:
    """Return the bias-corrected and accelerated bootstrap interval."""
    count = len(pairs)
    if count < 2:
        return difference, difference
    even = np.full(count, 1 / count)
    parts = [pairs.differences(generator.multinomial(count, even, rows)) for rows in _rows(count)]
    found = np.sort(np.concatenate(parts))
    if found[0] == found[-1]:
        return float(found[0]), float(found[0])
    below = ((found < difference).mean() + (found <= difference).mean()) / 2
    # A difference outside of all samples would be infinitely far.
    shift = _NORMAL.inv_cdf(min(max(below, 0.5 / SAMPLES), 1 - 0.5 / SAMPLES))
    acceleration = _acceleration(pairs)

    def quantile(share: float) -> float:
        far = shift + _NORMAL.inv_cdf(share)
        return float(np.quantile(found, _NORMAL.cdf(shift + far / (1 - acceleration * far))))

    return quantile((1 - CONFIDENCE) / 2), quantile((1 + CONFIDENCE) / 2)


def _acceleration(pairs: _Pairs) -> float:
    """Return how the spread changes with the value: the skewness of the difference without each pair, over 6."""
    first, second, sizes = (values.sum() - values for values in (pairs.first, pairs.second, pairs.sizes))
    if not sizes.all():
        return 0.0
    without: Sums = pairs.formula(second, sizes) - pairs.formula(first, sizes)
    away = without.mean() - without
    spread = float(away @ away)
    return float((away**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0


def _p_value(pairs: _Pairs, difference: float, generator: np.random.Generator) -> float:
    """Return how often exchanging models within pairs gives a difference at least as far from 0."""
    count, least = len(pairs), abs(difference) * (1 - _TIE)
    if count <= _EXACT:
        numbers = np.arange(2**count)[:, None] >> np.arange(count)
        return float((np.abs(pairs.exchanged((numbers & 1).astype(bool))) >= least).mean())
    far = sum(
        int((np.abs(pairs.exchanged(generator.random((rows, count)) < 0.5)) >= least).sum()) for rows in _rows(count)
    )
    return (1 + far) / (1 + SAMPLES)


def _rows(count: int) -> Iterator[int]:
    """Cut the samples into groups that fit into memory."""
    at_once = max(1, _AT_ONCE // count)
    for start in range(0, SAMPLES, at_once):
        yield min(at_once, SAMPLES - start)
