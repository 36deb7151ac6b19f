"""Take the best token, or draw one with random numbers that depend on nothing but their own place.

The number for a place is a function of (seed, row, position), computed by a counter-based generator: the same prompt
and seed give the same draws whatever else is in the batch, in whatever order, and on any device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from textus.errors import ArtefactError


def uniform(seed: int, row: int, position: int) -> float:
    """Return the random number in [0, 1) that belongs to a place, with 53 random bits (Philox4x64-10).

    >>> uniform(7, 0, 3) == uniform(7, 0, 3), uniform(7, 0, 3) == uniform(7, 1, 3)
    (True, False)
    """
    generator = np.random.Philox(key=np.array([seed, row], dtype=np.uint64), counter=position)
    return float(int(generator.random_raw()) >> 11) * 2.0**-53


def draw(logits: Float[Tensor, "batch vocab"], seed: int, position: int, rows: Sequence[int]) -> Int[Tensor, " batch"]:
    """Draw one token for each row of logits, on the CPU and in float64; `rows` are the rows' own numbers.

    A token of probability zero is never drawn: the chosen one is the first whose cumulative probability exceeds
    `uniform x total`, and that product is below the total, as `uniform` is at most 1 - 2**-53.

    >>> draw(torch.tensor([[-torch.inf, 0.0, -torch.inf]]), seed=1, position=0, rows=[0]).tolist()
    [1]
    """
    cumulative = logits.cpu().double().softmax(-1).cumsum(-1)
    total = cumulative[:, -1:]
    _check(total)
    places = torch.tensor([[uniform(seed, row, position)] for row in rows], dtype=torch.float64)
    return torch.searchsorted(cumulative, places * total, right=True).squeeze(1)


def best(logits: Float[Tensor, "batch vocab"]) -> Int[Tensor, " batch"]:
    """Take the likeliest token of each row, on the CPU; of tokens that tie, the one with the lowest id."""
    highest = logits.max(-1)
    _check(highest.values)
    return highest.indices.cpu()


def _check(values: Tensor) -> None:
    if not values.isfinite().all():
        raise ArtefactError(
            "the model gives no probabilities: its logits are not finite",
            hint="its weights are damaged or its training diverged; use an earlier checkpoint",
        )
