"""The product with matrices and the thin pairs beside them, as it is learnt: as few passes over all tokens as can be.

`y = (W + scale up down) x` is one product where the pair is added to the matrix first, which costs next to nothing
beside many tokens. The gradient is taken from the narrow side, `scale up^T g x^T` and `scale g x^T down^T`, and that of
the whole matrix is never made. Nothing is kept for it but `x`.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def product(
    x: Float[Tensor, "*rows inputs"],
    weights: tuple[Tensor, ...],
    downs: tuple[Tensor, ...],
    ups: tuple[Tensor, ...],
    scales: tuple[float, ...],
) -> Float[Tensor, "*rows outputs"]:
    """Return the products of `x` with all matrices and their pairs, side by side; the matrices have no gradient."""
    found: Tensor = _Beside.apply(x, scales, *weights, *downs, *ups)  # type: ignore[no-untyped-call]
    return found


class _Beside(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scales: tuple[float, ...], *tensors: Tensor) -> Tensor:
        ctx.scales = scales
        ctx.save_for_backward(x, *tensors)
        return functional.linear(x, _whole(x.dtype, scales, tensors))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *tensors = ctx.saved_tensors
        scales, count = ctx.scales, len(ctx.scales)
        weights, downs, ups = tensors[:count], tensors[count : 2 * count], tensors[2 * count :]
        dtype = x.dtype
        to_x = grad @ _whole(dtype, scales, tensors)
        rows, inputs = grad.flatten(0, -2), x.flatten(0, -2)
        shares = torch.split(rows, [weight.shape[0] for weight in weights], 1)
        ranks = [down.shape[0] for down in downs]
        # all pairs that read the same are taken together: one pass over `x` each way
        narrowed = torch.split(inputs @ torch.cat([down.to(dtype) for down in downs]).t(), ranks, 1)
        back = torch.cat([share @ up.to(dtype) for share, up in zip(shares, ups, strict=True)], 1)
        to_downs = torch.split(back.t() @ inputs, ranks)
        to_ups = [share.t() @ narrow for share, narrow in zip(shares, narrowed, strict=True)]
        return (
            to_x,
            None,
            *(None for _ in weights),
            *(found.to(down.dtype) * scale for found, down, scale in zip(to_downs, downs, scales, strict=True)),
            *(found.to(up.dtype) * scale for found, up, scale in zip(to_ups, ups, scales, strict=True)),
        )


def _whole(dtype: torch.dtype, scales: tuple[float, ...], tensors: Any) -> Tensor:
    """Return the matrices with their pairs, one below the other, rounded once."""
    count = len(scales)
    parts = []
    for weight, down, up, scale in zip(
        tensors[:count], tensors[count : 2 * count], tensors[2 * count :], scales, strict=True
    ):
        exact = torch.promote_types(torch.promote_types(dtype, weight.dtype), torch.float32)
        parts.append((weight.to(exact) + (up.to(dtype) @ down.to(dtype)).to(exact) * scale).to(dtype))
    return torch.cat(parts) if count > 1 else parts[0]
