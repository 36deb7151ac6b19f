"""What surrounds the products of a block on a GPU, in one pass over memory each, forward and backward, in Triton.

The compiler's kernels for the same work read and wrote up to three times as much: joined projections are taken apart
and their gradients put together again in passes of their own (benchmarks/RESULTS.md). `attention.py`, `rotary.py` and
`kernels.swiglu` are the same functions for other devices, and the oracles of these.
"""

# mypy: allow-untyped-defs, allow-untyped-decorators, allow-incomplete-defs
# ruff: noqa: N803 - Triton's constants are written in capitals

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from textus.model import packed

_TOKENS = 64
"""Tokens of one head that a program turns."""
_COLUMNS = 1024


@torch.library.custom_op("textus::swiglu", mutates_args=())
def swiglu(joined: Tensor) -> Tensor:
    """Multiply the second half of each row by the sigmoid-weighted first (`kernels.swiglu`)."""
    rows, size = joined.numel() // joined.shape[-1], joined.shape[-1] // 2
    out = joined.new_empty(*joined.shape[:-1], size)
    _swiglu[(rows, triton.cdiv(size, _COLUMNS))](joined, out, size, WIDTH=_COLUMNS)
    return out


@swiglu.register_fake
def _(joined: Tensor) -> Tensor:
    return joined.new_empty(*joined.shape[:-1], joined.shape[-1] // 2)


@torch.library.custom_op("textus::swiglu_backward", mutates_args=())
def _swiglu_gradient(grad: Tensor, joined: Tensor) -> Tensor:
    rows, size = joined.numel() // joined.shape[-1], joined.shape[-1] // 2
    out = torch.empty_like(joined)
    _swiglu_back[(rows, triton.cdiv(size, _COLUMNS))](grad.contiguous(), joined, out, size, WIDTH=_COLUMNS)
    return out


@_swiglu_gradient.register_fake
def _(grad: Tensor, joined: Tensor) -> Tensor:
    return torch.empty_like(joined)


swiglu.register_autograd(
    lambda ctx, grad: _swiglu_gradient(grad, *ctx.saved_tensors),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
)


@torch.library.custom_op("textus::attend_packed", mutates_args=())
def attend(
    joined: Tensor,
    query_weight: Tensor,
    key_weight: Tensor,
    cosine: Tensor,
    sine: Tensor,
    spans: Tensor,
    heads: int,
    causal: bool,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Norm and turn the queries and keys in `joined` (queries, keys, values of each token), and attend in documents.

    Return what each position gathers, the logarithm of each query's sum, and the queries and keys attended with.
    """
    batch, time, width = joined.shape
    size = query_weight.shape[0]
    all_heads = width // size
    groups = (all_heads - heads) // 2
    query = joined.new_empty(batch * time, heads, size)
    key = joined.new_empty(batch * time, groups, size)
    grid = (triton.cdiv(batch * time, _TOKENS), heads + groups)
    _turn[grid](
        joined, query_weight, key_weight, cosine, sine, query, key, batch * time, time, heads, groups, epsilon,
        HALF=size // 2, TOKENS=_TOKENS,
    )  # fmt: skip
    value = joined.view(batch * time, all_heads, size)[:, heads + groups :]
    mixed, masses = packed.attend(query, key, value, spans[0], spans[1], causal)
    return mixed.view(batch, time, heads * size), masses, query, key


@attend.register_fake
def _(
    joined: Tensor, query_weight: Tensor, key_weight: Tensor, cosine: Tensor, sine: Tensor, spans: Tensor,
    heads: int, causal: bool, epsilon: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    batch, time, width = joined.shape
    size = query_weight.shape[0]
    groups = (width // size - heads) // 2
    return (
        joined.new_empty(batch, time, heads * size),
        joined.new_empty(heads, batch * time, dtype=torch.float32),
        joined.new_empty(batch * time, heads, size),
        joined.new_empty(batch * time, groups, size),
    )


@torch.library.custom_op("textus::attend_packed_backward", mutates_args=())
def _attend_gradient(
    grad: Tensor,
    joined: Tensor,
    query_weight: Tensor,
    key_weight: Tensor,
    cosine: Tensor,
    sine: Tensor,
    spans: Tensor,
    mixed: Tensor,
    masses: Tensor,
    query: Tensor,
    key: Tensor,
    causal: bool,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:
    time = joined.shape[1]
    (tokens, heads, size), groups = query.shape, key.shape[1]
    out = torch.empty_like(joined)
    value, value_slope = (part.view(tokens, -1, size)[:, heads + groups :] for part in (joined, out))
    slopes = packed.gradients(
        grad.contiguous().view(query.shape), query, key, value, spans[0], spans[1], mixed.view(query.shape), masses,
        causal, value_slope,
    )  # fmt: skip
    blocks = triton.cdiv(tokens, _TOKENS)
    sums = torch.empty(blocks, heads + groups, size, dtype=torch.float32, device=grad.device)
    _turn_back[(blocks, heads + groups)](
        *slopes, joined, query_weight, key_weight, cosine, sine, out, sums,
        tokens, time, heads, groups, epsilon, HALF=size // 2, TOKENS=_TOKENS,
    )  # fmt: skip
    return out, sums[:, :heads].sum((0, 1)), sums[:, heads:].sum((0, 1))


@_attend_gradient.register_fake
def _(
    grad: Tensor, joined: Tensor, query_weight: Tensor, key_weight: Tensor, cosine: Tensor, sine: Tensor,
    spans: Tensor, mixed: Tensor, masses: Tensor, query: Tensor, key: Tensor, causal: bool, epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    return torch.empty_like(joined), torch.empty_like(query_weight), torch.empty_like(key_weight)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, _, causal, epsilon = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*tensors, *output)
    ctx.options = causal, epsilon


def _backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
    return *_attend_gradient(grad, *ctx.saved_tensors, *ctx.options), *[None] * 6


attend.register_autograd(_backward, setup_context=_keep)


@triton.jit
def _swiglu(joined, out, size, WIDTH: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = at < size
    gate = tl.load(joined + row * 2 * size + at, mask=inside).to(tl.float32)
    up = tl.load(joined + row * 2 * size + size + at, mask=inside).to(tl.float32)
    tl.store(out + row * size + at, (gate * tl.sigmoid(gate) * up).to(out.dtype.element_ty), mask=inside)


@triton.jit
def _swiglu_back(grad, joined, out, size, WIDTH: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    inside = at < size
    slope = tl.load(grad + row * size + at, mask=inside).to(tl.float32)
    gate = tl.load(joined + row * 2 * size + at, mask=inside).to(tl.float32)
    up = tl.load(joined + row * 2 * size + size + at, mask=inside).to(tl.float32)
    share = tl.sigmoid(gate)
    kind = out.dtype.element_ty
    along_gate = slope * up * share * (1 + gate * (1 - share))
    tl.store(out + row * 2 * size + at, along_gate.to(kind), mask=inside)
    tl.store(out + row * 2 * size + size + at, (slope * gate * share).to(kind), mask=inside)


@triton.jit
def _turn(
    joined, query_weight, key_weight, cosine, sine, query, key, tokens, time, heads, groups, epsilon,
    HALF: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    head = tl.program_id(1)
    token = tl.program_id(0).to(tl.int64) * TOKENS + tl.arange(0, TOKENS)
    at = tl.arange(0, HALF)
    inside = (token < tokens)[:, None]
    angle = (token % time)[:, None] * HALF + at[None]
    cos = tl.load(cosine + angle, mask=inside)
    sin = tl.load(sine + angle, mask=inside)
    source = joined + (token[:, None] * (heads + 2 * groups) + head) * 2 * HALF + at[None]
    one = tl.load(source, mask=inside, other=0.0).to(tl.float32)
    two = tl.load(source + HALF, mask=inside, other=0.0).to(tl.float32)
    scale = tl.rsqrt((tl.sum(one * one, 1) + tl.sum(two * two, 1)) / (2 * HALF) + epsilon)[:, None]
    if head < heads:
        weight = query_weight
        target = query + (token[:, None] * heads + head) * 2 * HALF + at[None]
    else:
        weight = key_weight
        target = key + (token[:, None] * groups + head - heads) * 2 * HALF + at[None]
    one = one * scale * tl.load(weight + at)[None]
    two = two * scale * tl.load(weight + HALF + at)[None]
    kind = query.dtype.element_ty
    tl.store(target, (one * cos - two * sin).to(kind), mask=inside)
    tl.store(target + HALF, (two * cos + one * sin).to(kind), mask=inside)


@triton.jit
def _turn_back(
    query_slope, key_slope, joined, query_weight, key_weight, cosine, sine, out, sums,
    tokens, time, heads, groups, epsilon, HALF: tl.constexpr, TOKENS: tl.constexpr,
):  # fmt: skip
    head = tl.program_id(1)
    token = tl.program_id(0).to(tl.int64) * TOKENS + tl.arange(0, TOKENS)
    at = tl.arange(0, HALF)
    inside = (token < tokens)[:, None]
    target = (token[:, None] * (heads + 2 * groups) + head) * 2 * HALF + at[None]
    kind = out.dtype.element_ty
    angle = (token % time)[:, None] * HALF + at[None]
    cos = tl.load(cosine + angle, mask=inside, other=0.0)
    sin = tl.load(sine + angle, mask=inside, other=0.0)
    if head < heads:
        weight = query_weight
        source = query_slope + (token[:, None] * heads + head) * 2 * HALF + at[None]
    else:
        weight = key_weight
        source = key_slope + (token[:, None] * groups + head - heads) * 2 * HALF + at[None]
    one = tl.load(joined + target, mask=inside, other=0.0).to(tl.float32)
    two = tl.load(joined + target + HALF, mask=inside, other=0.0).to(tl.float32)
    first = tl.load(source, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(source + HALF, mask=inside, other=0.0).to(tl.float32)
    # back through the turn, then through y = w x s with s = (mean x^2 + e)^-1/2
    slope_one = first * cos + second * sin
    slope_two = second * cos - first * sin
    scale = tl.rsqrt((tl.sum(one * one, 1) + tl.sum(two * two, 1)) / (2 * HALF) + epsilon)[:, None]
    one = one * scale
    two = two * scale
    total = sums + (tl.program_id(0) * (heads + groups) + head) * 2 * HALF + at
    tl.store(total, tl.sum(slope_one * one, 0))
    tl.store(total + HALF, tl.sum(slope_two * two, 0))
    slope_one = slope_one * tl.load(weight + at)[None]
    slope_two = slope_two * tl.load(weight + HALF + at)[None]
    along = ((tl.sum(slope_one * one, 1) + tl.sum(slope_two * two, 1)) / (2 * HALF))[:, None]
    tl.store(out + target, (scale * (slope_one - one * along)).to(kind), mask=inside)
    tl.store(out + target + HALF, (scale * (slope_two - two * along)).to(kind), mask=inside)
