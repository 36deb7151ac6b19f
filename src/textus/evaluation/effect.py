"""What a change does to bits per byte, from models that were trained with it and without it on several seeds.

Two things are left to chance: the seed (first weights, order of the windows) and the documents that happened to be
measured. Both are in the interval. With y_kd the bits that the change costs under seed k on document d, and x_d the
bytes of that document,

    e_k = sum_d y_kd / sum_d x_d           the difference under one seed
    difference = mean e_k
    V = var(e_k) / seeds  +  V_documents   the latter of the ratio (mean_k y_kd) / x_d over documents, as in `estimate`

What seed and document do together is in both terms, so that V errs on the wide side. The interval is Student's, its
degrees of freedom those of Satterthwaite (1946): with three seeds between 2 and the number of documents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from textus.errors import ConfigError
from textus.evaluation.estimate import ratio
from textus.evaluation.student import quantile, two_sided

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Effect:
    """A difference in bits per byte, and within what it lies."""

    difference: float
    """With the change less without it: above 0, the change costs bits."""
    low: float
    high: float
    p_value: float
    """Of a difference at least so large, if there were none."""
    by_seed: tuple[float, ...]
    seed_error: float
    """The part of the standard error that seeds give."""
    document_error: float
    """The part that documents give."""

    @property
    def is_told(self) -> bool:
        """Tell whether the interval leaves out 0."""
        return not self.low <= 0 <= self.high


def effect(
    before: Float[ndarray, "seeds units"], after: Float[ndarray, "seeds units"], num_bytes: Int[ndarray, " units"]
) -> Effect:
    """Compare the nats of two groups of models: row by row of one seed, column by column of one document or block.

    >>> before, after = np.ones((3, 4)), np.ones((3, 4)) * 2
    >>> found = effect(before, after, np.array([8, 8, 8, 8]))
    >>> round(found.difference, 4), round(found.seed_error, 4)
    (0.1803, 0.0)
    """
    assert before.shape == after.shape == (len(before), len(num_bytes))
    seeds, units = before.shape
    if min(seeds, units) < 2:
        raise ConfigError(
            f"{seeds} seeds and {units} documents give no interval", hint="two of each are the least; take three seeds"
        )
    bits, sizes = (after - before) / math.log(2), num_bytes.astype(np.float64)
    by_seed = bits.sum(axis=1) / sizes.sum()
    difference, document_error = ratio(bits.mean(axis=0), sizes)
    seed_error = float(by_seed.std(ddof=1)) / math.sqrt(seeds)
    of_seeds, of_documents = seed_error**2, document_error**2
    variance = of_seeds + of_documents
    reach, p_value = 0.0, float(difference == 0)
    if variance > 0:
        degrees = variance**2 / (of_seeds**2 / (seeds - 1) + of_documents**2 / (units - 1))
        reach = quantile(CONFIDENCE, degrees) * math.sqrt(variance)
        p_value = two_sided(difference / math.sqrt(variance), degrees)
    return Effect(
        difference, difference - reach, difference + reach, p_value, tuple(by_seed.tolist()), seed_error, document_error
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values that stay honest when several changes are looked at together (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
