"""What runs differently on a CPU and on a GPU, behind one function each.

On a CPU, elementwise work that torch does in too many passes over memory is written with fewer. Measured with
avx512_bf16, forward and backward: the root mean square norm of 8192 x 256 numbers took 9.2 ms with
`functional.rms_norm` and 4.7 ms here on two cores; a training step of 2048 tokens through 4 layers of 256 took 436 and
390 ms on one. A kernel of our own for `swiglu` gained nothing. Elsewhere torch's kernels and its compiler are better.

On a GPU, attention inside documents needs no mask.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from jaxtyping import Float, Int, Int32
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional

from textus.model.precision import compute_dtype
from textus.model.rotary import Rotation

Spans = Int32[Tensor, "2 tokens"]
"""Where the document of each token begins in rows laid end to end, and where it ends, excluded."""
_TRITON = find_spec("triton") is not None


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


def joined_swiglu(joined: Float[Tensor, "*rows two_sizes"]) -> Float[Tensor, "*rows size"]:
    """Compute `swiglu` of the two halves of each row on a GPU."""
    from textus.model import fused  # needs a GPU's compiler

    product: Tensor = fused.swiglu(joined)
    return product


def fuses(x: Tensor) -> bool:
    """Tell whether the kernels of `fused` serve states on the device of `x`, as they are computed here."""
    return x.device.type == "cuda" and compute_dtype(x) in (torch.bfloat16, torch.float16) and _TRITON


def packs(x: Tensor, head_size: int) -> bool:
    """Tell whether `packed_attention` serves heads of that size too."""
    return fuses(x) and head_size in (16, 32, 64, 128, 256)


def packed_attention(
    joined: Float[Tensor, "batch time heads*head"],
    norms: tuple[Float[Tensor, " head"], Float[Tensor, " head"]],
    rotation: Rotation,
    spans: Spans,
    heads: int,
    causal: bool,
    epsilon: float,
) -> Float[Tensor, "batch time heads*head"]:
    """Attend inside documents on a GPU, without a mask: what other documents hold is not even computed.

    `joined` are the queries, keys and values of each token, neither normed nor turned yet, `norms` the weights of the
    norms of queries and keys. `Attention` with `document_bias` is the same function on other devices, and its oracle.
    """
    from textus.model import fused  # needs a GPU's compiler

    weights = (weight.float() for weight in norms)
    mixed: Tensor = fused.attend(joined, *weights, *rotation, spans, heads, causal, epsilon)[0]
    return mixed


def document_spans(documents: Int[Tensor, "batch time"]) -> Spans:
    """Find where documents begin and end in rows laid end to end; every row begins one.

    >>> document_spans(torch.tensor([[0, 0, 1], [5, 5, 5]])).tolist()
    [[0, 0, 2, 3, 3, 3], [2, 2, 3, 6, 6, 6]]
    """
    begins = torch.ones_like(documents, dtype=torch.bool)
    torch.ne(documents[:, 1:], documents[:, :-1], out=begins[:, 1:])
    is_first = begins.flatten()
    tokens = torch.arange(len(is_first), dtype=torch.int32)
    firsts = tokens.where(is_first, 0).cummax(0).values
    behind = functional.pad(is_first[1:], (0, 1), value=True)  # whether a document ends with the token
    ends = (tokens + 1).where(behind, len(is_first)).flip(0).cummin(0).values.flip(0)
    return torch.stack([firsts, ends])


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
