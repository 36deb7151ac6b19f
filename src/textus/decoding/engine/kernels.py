"""Kernels that read the network for few texts on a GPU, in Triton: few, since to begin one takes as long as most run.

All of them find what they need of each text in its line of the board, which stays on the device: its last token, where
it stands, and where its keys are. `draws.py` has those that draw the next token, which they write back into the line,
so that the next step can begin without the host; `swift.py` calls them, in this order.
"""

# mypy: allow-untyped-defs, allow-untyped-decorators, allow-incomplete-defs
# ruff: noqa: N803 - Triton's constants are written in capitals

from __future__ import annotations

import triton
import triton.language as tl

from textus.decoding.engine.board import FIRST, POSITION, SOURCE, TABLE, TOKEN

_TOKEN, _POSITION, _FIRST = tl.constexpr(TOKEN), tl.constexpr(POSITION), tl.constexpr(FIRST)
_SOURCE, _TABLE = tl.constexpr(SOURCE), tl.constexpr(TABLE)


@triton.jit
def begin(board, newest, width):
    """Put tokens that only the device knows into their lines."""
    line = board + tl.program_id(0) * width
    source = tl.load(line + _SOURCE)
    if source >= 0:
        tl.store(line + _TOKEN, tl.maximum(tl.load(newest + source), 0).to(tl.int32))


@triton.jit
def look_up(board, table, x, width, size, BLOCK: tl.constexpr):
    """Start from the rows of the embedding."""
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    token = tl.load(board + row * width + _TOKEN).to(tl.int64)
    tl.store(x + row * size + at, tl.load(table + token * size + at, mask=at < size), mask=at < size)


@triton.jit
def product(
    x,
    weight,
    scale,
    out,
    rows,
    outputs,
    inputs,
    epsilon,
    NORMED: tl.constexpr,
    GATED: tl.constexpr,
    ADDED: tl.constexpr,
    LINES: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
):
    """Multiply few rows by a matrix, which is read once: normed before, gated or added to `out` behind, as is asked."""
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    lines = tl.program_id(1) * LINES + tl.arange(0, LINES)
    is_line, is_column = lines[:, None] < rows, columns[None, :] < outputs
    total = tl.zeros((LINES, COLUMNS), tl.float32)
    other = tl.zeros((LINES, COLUMNS), tl.float32)
    squares = tl.zeros((LINES,), tl.float32)
    kind = x.dtype.element_ty
    across = columns.to(tl.int64)[None, :] * inputs
    for start in range(0, inputs, DEPTH):
        at = start + tl.arange(0, DEPTH)
        inside = at < inputs
        part = tl.load(x + lines[:, None] * inputs + at[None, :], mask=is_line & inside[None, :], other=0)
        if NORMED:
            wide = part.to(tl.float32)
            squares += tl.sum(wide * wide, 1)
            part = (wide * tl.load(scale + at, mask=inside, other=0).to(tl.float32)[None, :]).to(kind)
        seen = inside[:, None] & is_column
        matrix = tl.load(weight + across + at[:, None], mask=seen, other=0)
        total = tl.dot(part, matrix, total, input_precision="ieee")
        if GATED:
            below = weight + outputs.to(tl.int64) * inputs
            other = tl.dot(
                part, tl.load(below + across + at[:, None], mask=seen, other=0), other, input_precision="ieee"
            )
    if NORMED:
        short = tl.rsqrt(squares / inputs + epsilon)[:, None]
        total, other = total * short, other * short
    if GATED:
        # rounded where two products would be
        gate, up = total.to(kind).to(tl.float32), other.to(kind).to(tl.float32)
        total = (gate / (1 + tl.exp(-gate))).to(kind).to(tl.float32) * up
    place = out + lines.to(tl.int64)[:, None] * outputs + columns[None, :]
    if ADDED:
        total = total.to(kind).to(tl.float32) + tl.load(place, mask=is_line & is_column, other=0).to(tl.float32)
    tl.store(place, total.to(out.dtype.element_ty), mask=is_line & is_column)


@triton.jit
def vector_product(
    x,
    weight,
    scale,
    out,
    outputs,
    inputs,
    epsilon,
    NORMED: tl.constexpr,
    GATED: tl.constexpr,
    ADDED: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
):
    """Do for one row what `product` does for several: here all is in how much of the matrix is on its way at once."""
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    is_column = columns < outputs
    kind = x.dtype.element_ty
    parts = tl.zeros((COLUMNS, DEPTH), tl.float32)
    others = tl.zeros((COLUMNS, DEPTH), tl.float32)
    squares = tl.zeros((DEPTH,), tl.float32)
    across = weight + columns.to(tl.int64)[:, None] * inputs
    below = across + outputs.to(tl.int64) * inputs
    for start in range(0, inputs, DEPTH):
        at = start + tl.arange(0, DEPTH)
        inside = at < inputs
        seen = is_column[:, None] & inside[None, :]
        matrix = tl.load(across + at[None, :], mask=seen, other=0).to(tl.float32)
        part = tl.load(x + at, mask=inside, other=0).to(tl.float32)
        if NORMED:
            squares += part * part
            part = (part * tl.load(scale + at, mask=inside, other=0).to(tl.float32)).to(kind).to(tl.float32)
        parts += matrix * part[None, :]
        if GATED:
            others += tl.load(below + at[None, :], mask=seen, other=0).to(tl.float32) * part[None, :]
    total = tl.sum(parts, 1)
    other = tl.sum(others, 1)
    if NORMED:
        short = tl.rsqrt(tl.sum(squares, 0) / inputs + epsilon)
        total, other = total * short, other * short
    if GATED:
        gate, up = total.to(kind).to(tl.float32), other.to(kind).to(tl.float32)
        total = (gate / (1 + tl.exp(-gate))).to(kind).to(tl.float32) * up
    if ADDED:
        total = total.to(kind).to(tl.float32) + tl.load(out + columns, mask=is_column, other=0).to(tl.float32)
    tl.store(out + columns, total.to(out.dtype.element_ty), mask=is_column)


@triton.jit
def _turned(own, far, norm, far_norm, cosine, sine, mask, size, epsilon):
    """Norm rows and turn them; `far` are the numbers that each is paired with."""
    x = tl.load(own, mask=mask, other=0).to(tl.float32)
    paired = tl.load(far, mask=mask, other=0).to(tl.float32)
    short = tl.rsqrt(tl.sum(x * x, 1) / size + epsilon)[:, None]
    return x * short * norm * cosine + paired * short * far_norm * sine


@triton.jit
def attended(
    row,
    group,
    split,
    joined,
    keys,
    values,
    out,
    board,
    width,
    cosines,
    sines,
    query_norm,
    key_norm,
    mixtures,
    sums,
    arrived,
    epsilon,
    scale,
    HEADS: tl.constexpr,
    GROUPS: tl.constexpr,
    HEAD: tl.constexpr,
    SIZE: tl.constexpr,
    MEMBERS: tl.constexpr,
    WIDE: tl.constexpr,
    TIME: tl.constexpr,
    SPLITS: tl.constexpr,
):
    """Norm and turn queries and keys, keep keys and values in their blocks, and mix the values that each text sees.

    Of the keys of a text every program takes a share; who comes last puts the shares together.
    """
    line = board + row * width
    position, first = tl.load(line + _POSITION), tl.load(line + _FIRST)
    before = position - (row - first)
    at, member = tl.arange(0, WIDE), tl.arange(0, MEMBERS)
    inside = at < HEAD
    half: tl.constexpr = HEAD // 2
    each: tl.constexpr = HEADS // GROUPS
    far, angle, sign = (at + half) % HEAD, at % half, tl.where(at < half, -1.0, 1.0)
    stride: tl.constexpr = (HEADS + 2 * GROUPS) * HEAD
    mine = (member < each)[:, None] & inside[None, :]
    norm = tl.load(query_norm + at, mask=inside, other=0).to(tl.float32)[None, :]
    far_norm = tl.load(query_norm + far, mask=inside, other=0).to(tl.float32)[None, :]
    cosine = tl.load(cosines + position * half + angle, mask=inside, other=0)[None, :]
    sine = (sign * tl.load(sines + position * half + angle, mask=inside, other=0))[None, :]
    own = joined + row * stride + (group * each + member)[:, None] * HEAD
    kind = joined.dtype.element_ty
    query = _turned(own + at[None, :], own + far[None, :], norm, far_norm, cosine, sine, mine, HEAD, epsilon).to(kind)
    best = tl.full((MEMBERS,), float("-inf"), tl.float32)
    total = tl.zeros((MEMBERS,), tl.float32)
    mixed = tl.zeros((MEMBERS, WIDE), tl.float32)
    # a short text is not worth the work of putting shares together
    active = tl.minimum(SPLITS, tl.maximum(1, tl.cdiv(before, 4 * TIME)))
    share = tl.cdiv(tl.cdiv(before, TIME), active) * TIME
    for start in range(split * share, tl.minimum(before, (split + 1) * share), TIME):
        time = start + tl.arange(0, TIME)
        known = time < before
        block = tl.load(line + _TABLE + time // SIZE, mask=known, other=0).to(tl.int64)
        place = (((block * SIZE + time % SIZE) * GROUPS + group) * HEAD)[:, None] + at[None, :]
        seen = known[:, None] & inside[None, :]
        key = tl.load(keys + place, mask=seen, other=0)
        value = tl.load(values + place, mask=seen, other=0)
        scores = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
        scores = tl.where(known[None, :], scores, float("-inf"))
        higher = tl.maximum(best, tl.max(scores, 1))
        weights, shrink = tl.exp(scores - higher[:, None]), tl.exp(best - higher)
        mixed = mixed * shrink[:, None] + tl.dot(weights.to(kind), value, input_precision="ieee")
        total = total * shrink + tl.sum(weights, 1)
        best = higher
    if split == 0:
        # the tokens of this text that are read in this very step, which is not yet in the cache
        norm = tl.load(key_norm + at, mask=inside, other=0).to(tl.float32)[None, :]
        far_norm = tl.load(key_norm + far, mask=inside, other=0).to(tl.float32)[None, :]
        one = inside[None, :]
        for other in range(first, row + 1):
            there = position - (row - other)
            cosine = tl.load(cosines + there * half + angle, mask=inside, other=0)[None, :]
            sine = (sign * tl.load(sines + there * half + angle, mask=inside, other=0))[None, :]
            head = joined + other * stride + (HEADS + group) * HEAD
            new = _turned(head + at[None, :], head + far[None, :], norm, far_norm, cosine, sine, one, HEAD, epsilon)
            key = new.to(kind)
            value = tl.load(head + GROUPS * HEAD + at[None, :], mask=one, other=0)
            scores = tl.sum(query.to(tl.float32) * key.to(tl.float32), 1) * scale
            higher = tl.maximum(best, scores)
            weights, shrink = tl.exp(scores - higher), tl.exp(best - higher)
            mixed = mixed * shrink[:, None] + weights[:, None] * value.to(tl.float32)
            total = total * shrink + weights
            best = higher
            block = tl.load(line + _TABLE + there // SIZE).to(tl.int64)
            place = ((block * SIZE + there % SIZE) * GROUPS + group) * HEAD + at[None, :]
            tl.store(keys + place, key, mask=one & (other == row))
            tl.store(values + place, value, mask=one & (other == row))
    result = out + row * HEADS * HEAD + (group * each + member)[:, None] * HEAD + at[None, :]
    if split < active:
        if active == 1:
            tl.store(result, (mixed / total[:, None]).to(kind), mask=mine)
        else:
            text = row * GROUPS + group
            here = (text * SPLITS + split) * MEMBERS + member
            tl.store(mixtures + here[:, None] * WIDE + at[None, :], mixed)
            tl.store(sums + 2 * here, best)
            tl.store(sums + 2 * here + 1, total)
            tl.debug_barrier()
            if tl.atomic_add(arrived + text, 1) == active - 1:
                best = tl.full((MEMBERS,), float("-inf"), tl.float32)
                total = tl.zeros((MEMBERS,), tl.float32)
                mixed = tl.zeros((MEMBERS, WIDE), tl.float32)
                for part in tl.static_range(SPLITS):
                    here = (text * SPLITS + part) * MEMBERS + member
                    is_there = (member >= 0) & (part < active)
                    found = tl.load(sums + 2 * here, mask=is_there, other=float("-inf"), cache_modifier=".cg")
                    higher = tl.maximum(best, found)
                    shrink, weights = tl.exp(best - higher), tl.exp(found - higher)
                    many = tl.load(sums + 2 * here + 1, mask=is_there, other=0, cache_modifier=".cg")
                    total = total * shrink + many * weights
                    place = mixtures + here[:, None] * WIDE + at[None, :]
                    more = tl.load(place, mask=is_there[:, None] & inside[None, :], other=0, cache_modifier=".cg")
                    mixed = mixed * shrink[:, None] + more * weights[:, None]
                    best = higher
                tl.store(result, (mixed / total[:, None]).to(kind), mask=mine)
                tl.store(arrived + text, 0)


@triton.jit
def attend(
    joined,
    keys,
    values,
    out,
    board,
    width,
    cosines,
    sines,
    query_norm,
    key_norm,
    mixtures,
    sums,
    arrived,
    epsilon,
    scale,
    HEADS: tl.constexpr,
    GROUPS: tl.constexpr,
    HEAD: tl.constexpr,
    SIZE: tl.constexpr,
    MEMBERS: tl.constexpr,
    WIDE: tl.constexpr,
    TIME: tl.constexpr,
    SPLITS: tl.constexpr,
):
    """Mix the values that each text sees: a program for each row, head of keys, and share of them."""
    attended(
        *(tl.program_id(0), tl.program_id(1), tl.program_id(2), joined, keys, values, out, board, width),
        *(cosines, sines, query_norm, key_norm, mixtures, sums, arrived, epsilon, scale, HEADS, GROUPS, HEAD),
        *(SIZE, MEMBERS, WIDE, TIME, SPLITS),
    )
