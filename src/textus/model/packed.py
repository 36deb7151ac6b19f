"""Attention inside documents that are laid end to end, forward and backward, in Triton.

A program takes a block of queries wherever documents begin and end, and visits only blocks of keys that one of them
sees; of these, only blocks that somebody does not see in full are masked. The usual kernels take one document after the
other, and fill their blocks badly where documents are short (benchmarks/RESULTS.md). As there (Dao 2023, arXiv
2307.08691) probabilities are made again in the backward pass, here once for the queries and once for keys and values:
nothing is added up by several programs, so that a step comes out the same to the last bit whenever it is taken.
"""

# mypy: allow-untyped-defs, allow-untyped-decorators, allow-incomplete-defs
# ruff: noqa: N803 - Triton's constants are written in capitals

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor


class Blocks(NamedTuple):
    """How a kernel cuts its work: what a program holds, what it visits at a time, and how."""

    held: int
    visited: int
    warps: int
    stages: int


FORWARD = {64: Blocks(64, 32, 4, 3), 128: Blocks(64, 32, 4, 3)}
QUERIES = {64: Blocks(64, 32, 4, 3), 128: Blocks(64, 64, 4, 2)}
KEYS = {64: Blocks(64, 32, 4, 3), 128: Blocks(64, 32, 4, 3)}
"""By the size of a head, the fastest of seven each on an H200; a program of `KEYS` holds keys and visits queries."""
_SMALL = Blocks(64, 32, 4, 2)


def attend(
    query: Tensor, key: Tensor, value: Tensor, begins: Tensor, ends: Tensor, causal: bool
) -> tuple[Tensor, Tensor]:
    """Return what each of `[tokens, heads, size]` queries gathers, and the logarithms (base 2) of their sums.

    A token's document reaches from `begins` to `ends`, excluded.
    """
    tokens, heads, size = query.shape
    mixed = query.new_empty(tokens, heads, size)
    masses = query.new_empty(heads, tokens, dtype=torch.float32)
    blocks = FORWARD.get(size, _SMALL)
    _forward[(triton.cdiv(tokens, blocks.held), heads)](
        query, key, value, begins, ends, mixed, masses, tokens, heads, key.shape[1], value.stride(0),
        size**-0.5 / math.log(2), size, blocks.held, blocks.visited, causal,
        num_warps=blocks.warps, num_stages=blocks.stages,
    )  # fmt: skip
    return mixed, masses


def gradients(
    slope: Tensor, query: Tensor, key: Tensor, value: Tensor, begins: Tensor, ends: Tensor, mixed: Tensor,
    masses: Tensor, causal: bool, value_slope: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return the gradients of queries and keys from that of what was gathered; that of values goes to `value_slope`."""
    tokens, heads, size = query.shape
    groups = key.shape[1]
    query_slope, key_slope = torch.empty_like(query), torch.empty_like(key)
    along = torch.empty_like(masses)
    scale = size**-0.5
    blocks = QUERIES.get(size, _SMALL)
    _backward_queries[(triton.cdiv(tokens, blocks.held), heads)](
        slope, query, key, value, begins, ends, mixed, masses, along, query_slope, tokens, heads, groups,
        value.stride(0), scale, scale / math.log(2), size, blocks.held, blocks.visited, causal,
        num_warps=blocks.warps, num_stages=blocks.stages,
    )  # fmt: skip
    blocks = KEYS.get(size, _SMALL)
    _backward_keys[(triton.cdiv(tokens, blocks.held), groups)](
        slope, query, key, value, begins, ends, masses, along, key_slope, value_slope, tokens, heads, groups,
        value.stride(0), value_slope.stride(0), scale, scale / math.log(2), size, blocks.held, blocks.visited, causal,
        num_warps=blocks.warps, num_stages=blocks.stages,
    )  # fmt: skip
    return query_slope, key_slope


@triton.jit
def _key_range(begins, ends, first, last, VISITED: tl.constexpr, CAUSAL: tl.constexpr):
    """Return where the keys begin that queries from `first` to `last` see, where those that all see, and their ends."""
    low = tl.load(begins + first) // VISITED * VISITED
    all_low = tl.cdiv(tl.load(begins + last), VISITED) * VISITED
    if CAUSAL:
        high = last + 1
        all_high = (first + 1) // VISITED * VISITED
    else:
        high = tl.load(ends + last)
        all_high = tl.load(ends + first) // VISITED * VISITED
    return low, all_low, tl.maximum(all_low, all_high), high


@triton.jit
def _seen(queries, keys, begin, end, CAUSAL: tl.constexpr):
    """Tell which keys a query sees, from where its document begins and ends."""
    if CAUSAL:
        return (keys >= begin) & (keys <= queries)
    return (keys >= begin) & (keys < end)


@triton.jit
def _gather(
    gathered, mass, top, q, key, value, key_stride, value_stride, rows, begin, end, start, stop, tokens, scale,
    SIZE: tl.constexpr, VISITED: tl.constexpr, CAUSAL: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    at = tl.arange(0, SIZE)
    for first in range(start, stop, VISITED):
        columns = first + tl.arange(0, VISITED)
        keys = key + columns[:, None].to(tl.int64) * key_stride + at[None]
        values = value + columns[:, None].to(tl.int64) * value_stride + at[None]
        if MASKED:
            inside = (columns < tokens)[:, None]
            k = tl.load(keys, mask=inside, other=0.0)
            v = tl.load(values, mask=inside, other=0.0)
        else:
            k = tl.load(keys)
            v = tl.load(values)
        scores = tl.dot(q, tl.trans(k)) * scale
        if MASKED:
            seen = _seen(rows[:, None], columns[None], begin[:, None], end[:, None], CAUSAL)
            scores = tl.where(seen, scores, -float("inf"))
        higher = tl.maximum(top, tl.max(scores, 1))
        shares = tl.exp2(scores - higher[:, None])
        shrunk = tl.exp2(top - higher)
        mass = mass * shrunk + tl.sum(shares, 1)
        gathered = tl.dot(shares.to(v.dtype), v, gathered * shrunk[:, None])
        top = higher
    return gathered, mass, top


@triton.jit
def _forward(
    query, key, value, begins, ends, mixed, masses, tokens, heads, groups, value_stride, scale,
    SIZE: tl.constexpr, HELD: tl.constexpr, VISITED: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    start = tl.program_id(0) * HELD
    head = tl.program_id(1)
    group = head // (heads // groups)
    rows = start + tl.arange(0, HELD)
    at = tl.arange(0, SIZE)
    inside = rows < tokens
    places = (rows[:, None].to(tl.int64) * heads + head) * SIZE + at[None]
    q = tl.load(query + places, mask=inside[:, None], other=0.0)
    begin = tl.load(begins + rows, mask=inside, other=0)
    end = tl.load(ends + rows, mask=inside, other=0)
    key += group * SIZE
    value += group * SIZE
    last = tl.minimum(start + HELD, tokens) - 1
    low, all_low, all_high, high = _key_range(begins, ends, start, last, VISITED, CAUSAL)
    gathered = tl.zeros((HELD, SIZE), tl.float32)
    mass = tl.zeros((HELD,), tl.float32)
    top = tl.full((HELD,), -1e30, tl.float32)  # and not infinity, whose difference from itself is no number
    gathered, mass, top = _gather(
        gathered, mass, top, q, key, value, groups * SIZE, value_stride, rows, begin, end, low,
        tl.minimum(all_low, high), tokens, scale, SIZE, VISITED, CAUSAL, True,
    )  # fmt: skip
    gathered, mass, top = _gather(
        gathered, mass, top, q, key, value, groups * SIZE, value_stride, rows, begin, end, all_low, all_high, tokens,
        scale, SIZE, VISITED, CAUSAL, False,
    )  # fmt: skip
    gathered, mass, top = _gather(
        gathered, mass, top, q, key, value, groups * SIZE, value_stride, rows, begin, end, all_high, high, tokens,
        scale, SIZE, VISITED, CAUSAL, True,
    )  # fmt: skip
    tl.store(mixed + places, (gathered / mass[:, None]).to(mixed.dtype.element_ty), mask=inside[:, None])
    tl.store(masses + head.to(tl.int64) * tokens + rows, top + tl.log2(mass), mask=inside)


@triton.jit
def _query_slopes(
    total, q, slopes, mass, along, key, value, key_stride, value_stride, rows, begin, end, start, stop, tokens, scale,
    SIZE: tl.constexpr, VISITED: tl.constexpr, CAUSAL: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    at = tl.arange(0, SIZE)
    for first in range(start, stop, VISITED):
        columns = first + tl.arange(0, VISITED)
        keys = key + columns[:, None].to(tl.int64) * key_stride + at[None]
        values = value + columns[:, None].to(tl.int64) * value_stride + at[None]
        if MASKED:
            inside = (columns < tokens)[:, None]
            k = tl.load(keys, mask=inside, other=0.0)
            v = tl.load(values, mask=inside, other=0.0)
        else:
            k = tl.load(keys)
            v = tl.load(values)
        shares = tl.exp2(tl.dot(q, tl.trans(k)) * scale - mass[:, None])
        if MASKED:
            seen = _seen(rows[:, None], columns[None], begin[:, None], end[:, None], CAUSAL)
            shares = tl.where(seen, shares, 0.0)
        change = shares * (tl.dot(slopes, tl.trans(v)) - along[:, None])
        total = tl.dot(change.to(k.dtype), k, total)
    return total


@triton.jit
def _backward_queries(
    slope, query, key, value, begins, ends, mixed, masses, alongs, query_slope, tokens, heads, groups, value_stride,
    scale, scale_2, SIZE: tl.constexpr, HELD: tl.constexpr, VISITED: tl.constexpr, CAUSAL: tl.constexpr,
):  # fmt: skip
    start = tl.program_id(0) * HELD
    head = tl.program_id(1)
    group = head // (heads // groups)
    rows = start + tl.arange(0, HELD)
    at = tl.arange(0, SIZE)
    inside = rows < tokens
    places = (rows[:, None].to(tl.int64) * heads + head) * SIZE + at[None]
    q = tl.load(query + places, mask=inside[:, None], other=0.0)
    slopes = tl.load(slope + places, mask=inside[:, None], other=0.0)
    gathered = tl.load(mixed + places, mask=inside[:, None], other=0.0)
    along = tl.sum(slopes.to(tl.float32) * gathered.to(tl.float32), 1)
    tl.store(alongs + head.to(tl.int64) * tokens + rows, along, mask=inside)
    mass = tl.load(masses + head.to(tl.int64) * tokens + rows, mask=inside, other=0.0)
    begin = tl.load(begins + rows, mask=inside, other=0)
    end = tl.load(ends + rows, mask=inside, other=0)
    key += group * SIZE
    value += group * SIZE
    last = tl.minimum(start + HELD, tokens) - 1
    low, all_low, all_high, high = _key_range(begins, ends, start, last, VISITED, CAUSAL)
    total = tl.zeros((HELD, SIZE), tl.float32)
    total = _query_slopes(
        total, q, slopes, mass, along, key, value, groups * SIZE, value_stride, rows, begin, end, low,
        tl.minimum(all_low, high), tokens, scale_2, SIZE, VISITED, CAUSAL, True,
    )  # fmt: skip
    total = _query_slopes(
        total, q, slopes, mass, along, key, value, groups * SIZE, value_stride, rows, begin, end, all_low, all_high,
        tokens, scale_2, SIZE, VISITED, CAUSAL, False,
    )  # fmt: skip
    total = _query_slopes(
        total, q, slopes, mass, along, key, value, groups * SIZE, value_stride, rows, begin, end, all_high, high,
        tokens, scale_2, SIZE, VISITED, CAUSAL, True,
    )  # fmt: skip
    tl.store(query_slope + places, (total * scale).to(query_slope.dtype.element_ty), mask=inside[:, None])


@triton.jit
def _key_slopes(
    key_total, value_total, k, v, query, slope, mass, along, begins, ends, stride, columns, start, stop, tokens, scale,
    SIZE: tl.constexpr, VISITED: tl.constexpr, CAUSAL: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    at = tl.arange(0, SIZE)
    for first in range(start, stop, VISITED):
        rows = first + tl.arange(0, VISITED)
        places = rows[:, None].to(tl.int64) * stride + at[None]
        if MASKED:
            inside = rows < tokens
            q = tl.load(query + places, mask=inside[:, None], other=0.0)
            slopes = tl.load(slope + places, mask=inside[:, None], other=0.0)
            masses = tl.load(mass + rows, mask=inside, other=0.0)
            alongs = tl.load(along + rows, mask=inside, other=0.0)
        else:
            q = tl.load(query + places)
            slopes = tl.load(slope + places)
            masses = tl.load(mass + rows)
            alongs = tl.load(along + rows)
        shares = tl.exp2(tl.dot(k, tl.trans(q)) * scale - masses[None])
        if MASKED:
            begin = tl.load(begins + rows, mask=inside, other=tokens)
            end = tl.load(ends + rows, mask=inside, other=0)
            shares = tl.where(_seen(rows[None], columns[:, None], begin[None], end[None], CAUSAL), shares, 0.0)
        value_total = tl.dot(shares.to(slopes.dtype), slopes, value_total)
        change = shares * (tl.dot(v, tl.trans(slopes)) - alongs[None])
        key_total = tl.dot(change.to(q.dtype), q, key_total)
    return key_total, value_total


@triton.jit
def _backward_keys(
    slope, query, key, value, begins, ends, masses, alongs, key_slope, value_slope, tokens, heads, groups,
    value_stride, value_slope_stride, scale, scale_2, SIZE: tl.constexpr, HELD: tl.constexpr, VISITED: tl.constexpr,
    CAUSAL: tl.constexpr,
):  # fmt: skip
    start = tl.program_id(0) * HELD
    group = tl.program_id(1)
    columns = start + tl.arange(0, HELD)
    at = tl.arange(0, SIZE)
    inside = columns < tokens
    places = (columns[:, None].to(tl.int64) * groups + group) * SIZE + at[None]
    k = tl.load(key + places, mask=inside[:, None], other=0.0)
    v = tl.load(
        value + columns[:, None].to(tl.int64) * value_stride + group * SIZE + at[None], mask=inside[:, None], other=0.0
    )
    last = tl.minimum(start + HELD, tokens) - 1
    # by whom these keys are seen, and by whom all of them are
    high = tl.load(ends + last)
    all_high = tl.load(ends + start) // VISITED * VISITED
    if CAUSAL:
        low = start // VISITED * VISITED
        all_low = tl.cdiv(last, VISITED) * VISITED
    else:
        low = tl.load(begins + start) // VISITED * VISITED
        all_low = tl.cdiv(tl.load(begins + last), VISITED) * VISITED
    all_high = tl.maximum(all_low, all_high)
    key_total = tl.zeros((HELD, SIZE), tl.float32)
    value_total = tl.zeros((HELD, SIZE), tl.float32)
    for number in range(heads // groups):
        head = group * (heads // groups) + number
        q = query + head * SIZE
        slopes = slope + head * SIZE
        mass = masses + head.to(tl.int64) * tokens
        along = alongs + head.to(tl.int64) * tokens
        key_total, value_total = _key_slopes(
            key_total, value_total, k, v, q, slopes, mass, along, begins, ends, heads * SIZE, columns, low,
            tl.minimum(all_low, high), tokens, scale_2, SIZE, VISITED, CAUSAL, True,
        )  # fmt: skip
        key_total, value_total = _key_slopes(
            key_total, value_total, k, v, q, slopes, mass, along, begins, ends, heads * SIZE, columns, all_low,
            all_high, tokens, scale_2, SIZE, VISITED, CAUSAL, False,
        )  # fmt: skip
        key_total, value_total = _key_slopes(
            key_total, value_total, k, v, q, slopes, mass, along, begins, ends, heads * SIZE, columns, all_high, high,
            tokens, scale_2, SIZE, VISITED, CAUSAL, True,
        )  # fmt: skip
    kind = key_slope.dtype.element_ty
    tl.store(key_slope + places, (key_total * scale).to(kind), mask=inside[:, None])
    places = columns[:, None].to(tl.int64) * value_slope_stride + group * SIZE + at[None]
    tl.store(value_slope + places, value_total.to(kind), mask=inside[:, None])
