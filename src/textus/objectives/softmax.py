"""The softmax of the cross-entropy on a GPU: one pass over logits that are in reach, in Triton."""

# mypy: allow-untyped-defs, allow-untyped-decorators, allow-incomplete-defs
# ruff: noqa: N803 - Triton's constants are written in capitals

from __future__ import annotations

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

_WIDEST = 16_384
"""Logits that one program holds at once."""


def losses_(
    scores: Float[Tensor, "rows vocab"], labels: Int[Tensor, " rows"], with_gradients: bool, z_loss: float = 0.0
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " rows"] | None]:
    """Return each row's negative log-probability and, where there is one, its z-loss, in float32.

    The gradient of both, `softmax (1 + 2 z_loss z) - one-hot` with `z` the logarithm of the denominator, is put in the
    place of `scores`. Rows whose label is negative get zeros. Without gradients `scores` stay as they are.
    """
    rows, vocab = scores.shape
    assert scores.stride(1) == 1
    losses = torch.empty(rows, dtype=torch.float32, device=scores.device)
    penalties = torch.empty_like(losses) if z_loss else None
    width = min(_WIDEST, triton.next_power_of_2(vocab))
    _kernel[(rows,)](
        scores, labels, losses, losses if penalties is None else penalties, scores.stride(0), vocab, z_loss,
        with_gradients, z_loss > 0, width, num_warps=max(4, min(16, width // 512)),
    )  # fmt: skip
    return losses, penalties


@triton.jit
def _kernel(
    scores, labels, losses, penalties, stride, vocab, z_loss,
    GRADIENTS: tl.constexpr, PENALISED: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    label = tl.load(labels + row)
    scores += row * stride
    top = -float("inf")
    mass = 0.0
    for start in range(0, vocab, WIDTH):
        at = start + tl.arange(0, WIDTH)
        part = tl.load(scores + at, mask=at < vocab, other=-float("inf")).to(tl.float32)
        higher = tl.maximum(top, tl.max(part, 0))
        mass = mass * tl.exp(top - higher) + tl.sum(tl.exp(part - higher), 0)
        top = higher
    asked = label >= 0
    right = tl.load(scores + label, mask=asked, other=0.0).to(tl.float32)
    tl.store(losses + row, tl.where(asked, tl.log(mass) - (right - top), 0.0))
    if PENALISED:
        logarithm = tl.log(mass) + top
        tl.store(penalties + row, tl.where(asked, z_loss * logarithm * logarithm, 0.0))
        mass = mass / (1.0 + 2.0 * z_loss * logarithm)
    if GRADIENTS:
        tl.debug_barrier()  # all have read the label's score before one writes over it
        for start in range(0, vocab, WIDTH):
            at = start + tl.arange(0, WIDTH)
            part = tl.load(scores + at, mask=at < vocab, other=-float("inf")).to(tl.float32)
            slope = tl.exp(part - top) / mass - tl.where(at == label, 1.0, 0.0)
            tl.store(scores + at, tl.where(asked, slope, 0.0).to(scores.dtype.element_ty), mask=at < vocab)
