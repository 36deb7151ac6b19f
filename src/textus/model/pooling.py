"""One vector for a text, from the states of its tokens."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

Pooling = Literal["mean", "cls", "last"]
"""The mean over all tokens, the first one's state (that of END before the text), or the last one's."""


def pool(
    states: Float[Tensor, "batch time hidden"], there: Bool[Tensor, "batch time"], pooling: Pooling
) -> Float[Tensor, "batch hidden"]:
    """Return one vector a row; `there` tells tokens from padding, which stands behind them.

    >>> states = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [9.0, 9.0]]])
    >>> there = torch.tensor([[True, True, False]])
    >>> [pool(states, there, how).tolist() for how in ("mean", "cls", "last")]
    [[[2.0, 2.0]], [[1.0, 0.0]], [[3.0, 4.0]]]
    """
    if pooling == "cls":
        return states[:, 0]
    if pooling == "last":
        return states[torch.arange(len(states), device=states.device), there.sum(1) - 1]
    mask = there.unsqueeze(2).to(states.dtype)
    return (states * mask).sum(1) / mask.sum(1)


def shortened(
    vectors: Float[Tensor, "batch hidden"], dimensions: int, normalise: bool
) -> Float[Tensor, "batch dimensions"]:
    """Return the first numbers of each vector, of length 1 where asked (Matryoshka, arXiv 2205.13147).

    >>> shortened(torch.tensor([[3.0, 4.0, 12.0]]), 2, True)
    tensor([[0.6000, 0.8000]])
    """
    part = vectors[:, :dimensions]
    return functional.normalize(part, dim=1) if normalise else part
