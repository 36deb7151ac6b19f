"""Chance that is a function of where a token stands: no state, the same in every batch, on every rank, after resuming.

Numbers are made by the finaliser of SplitMix64 (Steele et al. 2014) from a seed, a stream, and two whole numbers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from textus.dataset.window import Origin, Window

Whole = npt.NDArray[np.int64]
_STEP = np.array(0x9E3779B97F4A7C15, np.uint64)


def draws(seed: int, stream: int, first: Whole, second: Whole) -> npt.NDArray[np.float64]:
    """Return a number in [0, 1) for each pair of `first` and `second`, which are broadcast.

    >>> draws(1, 0, np.array([[0], [1]]), np.array([5, 6])).round(3).tolist()
    [[0.498, 0.49], [0.762, 0.021]]
    """
    mixed = _mix(np.array([(seed * 64 + stream) % 2**64], np.uint64))
    mixed = _mix(mixed + first.astype(np.uint64) * _STEP)
    mixed = _mix(mixed + second.astype(np.uint64) * _STEP)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53


def origin_of(window: Window, generator: torch.Generator) -> Origin:
    """Return where a window was cut; where that is not known, a place nowhere, drawn from `generator`."""
    if window.origin is not None:
        return window.origin
    rows, time = window.tokens.shape
    nowhere = torch.randint(2**40, (1,), generator=generator).expand(rows)
    return Origin(
        numbers=torch.arange(rows),
        epochs=nowhere,
        per_epoch=torch.ones(rows, dtype=torch.long),
        places=torch.arange(rows * time).view(rows, time),
    )


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    x = x + _STEP
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
