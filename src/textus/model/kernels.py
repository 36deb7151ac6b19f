"""Elementwise work that torch does in too many passes over memory on a CPU, written with fewer.

Measured with avx512_bf16, forward and backward: the root mean square norm of 8192 x 256 numbers took 9.2 ms with
`functional.rms_norm` and 4.7 ms here on two cores; a training step of 2048 tokens through 4 layers of 256 took 436 and
390 ms on one. A kernel of our own for `swiglu` gained nothing. Elsewhere torch's kernels and its compiler are better.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional


def rms_norm(
    x: Float[Tensor, "*rows size"], weight: Float[Tensor, " size"], epsilon: float, dtype: torch.dtype
) -> Float[Tensor, "*rows size"]:
    """Divide each row by its root mean square and scale it; compute in float32, return `dtype`.

    Zhang and Sennrich 2019, arXiv 1910.07467.

    >>> rms_norm(torch.tensor([[3.0, 4.0]]), torch.tensor([1.0, 2.0]), 1e-6, torch.float32)
    tensor([[0.8485, 2.2627]])
    """
    if x.device.type == "cpu":
        normed: Tensor = _RMSNorm.apply(x, weight.float(), epsilon, dtype)  # type: ignore[no-untyped-call]
        return normed
    return functional.rms_norm(x.float(), (x.shape[-1],), weight.float(), epsilon).to(dtype)


def swiglu(gate: Float[Tensor, "*rows size"], up: Float[Tensor, "*rows size"]) -> Float[Tensor, "*rows size"]:
    """Multiply `up` by the sigmoid-weighted `gate` (Shazeer 2020, arXiv 2002.05202).

    >>> swiglu(torch.tensor([0.0, 1.0]), torch.tensor([5.0, 2.0]))
    tensor([0.0000, 1.4621])
    """
    return functional.silu(gate) * up


class _RMSNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        size = x.shape[-1]
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = norm.square_().div_(size).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        normed: Tensor = (x * scale).mul_(weight).to(dtype)
        return normed

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        # with y = w x s, s = (mean x^2 + e)^-1/2:  dx = s (w g) - x s^3 mean(w g x),  dw = sum over rows of g x s
        x, weight, scale = ctx.saved_tensors
        wide, grad = x.float(), grads[0].float()
        product = (grad * wide).reshape(-1, x.shape[-1])
        grad_weight = torch.mv(product.t(), scale.reshape(-1))
        along = torch.mv(product, weight).view(scale.shape) * scale.pow(3).div_(-x.shape[-1])
        return (grad * weight).mul_(scale).addcmul_(wide, along).to(x.dtype), grad_weight, None, None
