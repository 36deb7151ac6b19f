"""One kernel for a whole step of one text on a GPU, in Triton.

To begin a kernel takes longer than to read the weights that it needs: here programs that stay, one on each
multiprocessor, meet instead between one part of a layer and the next, each with its first weights already under way.
Every program multiplies its own share of the rows of each matrix. Where programs run one after another, so that none
can meet, each part is a launch of its own (`PARTS`).
"""

# mypy: allow-untyped-defs, allow-untyped-decorators, allow-incomplete-defs
# ruff: noqa: N803, SIM102 - Triton's constants are written in capitals, and known apart from what is computed

from __future__ import annotations

import triton
import triton.language as tl

from textus.decoding.engine.board import CHUNK, TOKEN
from textus.decoding.engine.draws import picked, surveyed
from textus.decoding.engine.kernels import attended

PROJECT, ATTEND, OUTPUT, GATE, DOWN, HEAD, PICK = 1, 2, 4, 8, 16, 32, 64
"""Parts of a step: the first five are those of each layer."""
LAYER, ALL = 31, 127
WEIGHTS = 8
"""So many addresses a layer has."""
_TOKEN, _CHUNK, _WEIGHTS = tl.constexpr(TOKEN), tl.constexpr(CHUNK), tl.constexpr(WEIGHTS)
_PROJECT, _ATTEND, _OUTPUT = tl.constexpr(PROJECT), tl.constexpr(ATTEND), tl.constexpr(OUTPUT)
_GATE, _DOWN, _HEAD, _PICK = tl.constexpr(GATE), tl.constexpr(DOWN), tl.constexpr(HEAD), tl.constexpr(PICK)


@triton.jit
def _arrive(meeting):
    """Tell the others that what this program wrote can be read."""
    tl.debug_barrier()
    tl.atomic_add(meeting, 1, sem="release", scope="gpu")


@triton.jit
def _wait(meeting, target):
    """Wait until all have arrived."""
    while tl.atomic_add(meeting, 0, sem="acquire", scope="gpu") < target:
        pass
    tl.debug_barrier()


@triton.jit
def _address(table, number, kind: tl.constexpr):
    return tl.multiple_of(tl.load(table + number).to(tl.pointer_type(kind)), 16)


@triton.jit
def _tile(weight, number, first, last, INPUTS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr):
    """Begin to read the tile of this number of a program's share of a matrix; behind the last there is nothing."""
    steps: tl.constexpr = (INPUTS + DEPTH - 1) // DEPTH
    columns = first + number // steps * COLUMNS + tl.arange(0, COLUMNS)
    at = number % steps * DEPTH + tl.arange(0, DEPTH)
    seen = (columns < last)[:, None] & (at < INPUTS)[None, :]
    place = columns.to(tl.int64)[:, None] * INPUTS + at[None, :]
    return tl.load(weight + place, mask=seen, other=0, eviction_policy="evict_first")


@triton.jit
def _multiply(
    weight,
    x,
    scale,
    out,
    meeting,
    target,
    epsilon,
    ROWS: tl.constexpr,
    INPUTS: tl.constexpr,
    NORMED: tl.constexpr,
    GATED: tl.constexpr,
    ADDED: tl.constexpr,
    MEET: tl.constexpr,
    SHARE: tl.constexpr,
    COLUMNS: tl.constexpr,
    DEPTH: tl.constexpr,
):
    """Multiply one row by this program's share of a matrix; with `GATED` by a second half of it, too.

    Two tiles are on their way while the others are waited for, and while one is multiplied.
    """
    first = tl.program_id(0) * SHARE
    last = tl.minimum(first + SHARE, ROWS)
    kind = x.dtype.element_ty
    below = weight + ROWS * INPUTS
    now = _tile(weight, 0, first, last, INPUTS, COLUMNS, DEPTH)
    then = _tile(weight, 1, first, last, INPUTS, COLUMNS, DEPTH)
    if GATED:
        now_below = _tile(below, 0, first, last, INPUTS, COLUMNS, DEPTH)
        then_below = _tile(below, 1, first, last, INPUTS, COLUMNS, DEPTH)
    if MEET:
        _wait(meeting, target)
    ahead = 2
    for tile in range(tl.cdiv(tl.maximum(last - first, 0), COLUMNS)):
        columns = first + tile * COLUMNS + tl.arange(0, COLUMNS)
        if ADDED:
            before = tl.load(out + columns, mask=columns < last, other=0, cache_modifier=".cg").to(tl.float32)
        parts = tl.zeros((COLUMNS, DEPTH), tl.float32)
        others = tl.zeros((COLUMNS, DEPTH), tl.float32)
        squares = tl.zeros((DEPTH,), tl.float32)
        for start in range(0, INPUTS, DEPTH):
            onward = _tile(weight, ahead, first, last, INPUTS, COLUMNS, DEPTH)
            if GATED:
                onward_below = _tile(below, ahead, first, last, INPUTS, COLUMNS, DEPTH)
            ahead += 1
            at = start + tl.arange(0, DEPTH)
            part = tl.load(x + at, mask=at < INPUTS, other=0, cache_modifier=".cg").to(tl.float32)
            if NORMED:
                squares += part * part
                factor = tl.load(scale + at, mask=at < INPUTS, other=0).to(tl.float32)
                part = (part * factor).to(kind).to(tl.float32)
            parts += now.to(tl.float32) * part[None, :]
            now, then = then, onward
            if GATED:
                others += now_below.to(tl.float32) * part[None, :]
                now_below, then_below = then_below, onward_below
        total = tl.sum(parts, 1)
        if NORMED:
            short = tl.rsqrt(tl.sum(squares, 0) / INPUTS + epsilon)
            total = total * short
        if GATED:
            # rounded where two products would be
            gate, up = total.to(kind).to(tl.float32), (tl.sum(others, 1) * short).to(kind).to(tl.float32)
            total = (gate / (1 + tl.exp(-gate))).to(kind).to(tl.float32) * up
        if ADDED:
            total = total.to(kind).to(tl.float32) + before
        tl.store(out + columns, total.to(out.dtype.element_ty), mask=columns < last)


@triton.jit
def write(
    board,
    table,
    embedding,
    head,
    last_norm,
    x,
    joined,
    mixed,
    gated,
    logits,
    keys,
    values,
    slots,
    cosines,
    sines,
    mixtures,
    sums,
    arrived,
    best,
    peaks,
    ring,
    places,
    names,
    numbers,
    meeting,
    width,
    epsilon,
    scale,
    vocab,
    chunks,
    first,
    last,
    PARTS: tl.constexpr,
    MEET: tl.constexpr,
    PROGRAMS: tl.constexpr,
    HIDDEN: tl.constexpr,
    INNER: tl.constexpr,
    OUTPUTS: tl.constexpr,
    BLOCK: tl.constexpr,
    HEADS: tl.constexpr,
    GROUPS: tl.constexpr,
    SIZE_OF_HEAD: tl.constexpr,
    SIZE: tl.constexpr,
    MEMBERS: tl.constexpr,
    WIDE: tl.constexpr,
    TIME: tl.constexpr,
    SPLITS: tl.constexpr,
    PROJECT_SHARE: tl.constexpr,
    PROJECT_COLUMNS: tl.constexpr,
    PROJECT_DEPTH: tl.constexpr,
    OUTPUT_SHARE: tl.constexpr,
    OUTPUT_COLUMNS: tl.constexpr,
    OUTPUT_DEPTH: tl.constexpr,
    GATE_SHARE: tl.constexpr,
    GATE_COLUMNS: tl.constexpr,
    GATE_DEPTH: tl.constexpr,
    DOWN_SHARE: tl.constexpr,
    DOWN_COLUMNS: tl.constexpr,
    DOWN_DEPTH: tl.constexpr,
    HEAD_SHARE: tl.constexpr,
    HEAD_COLUMNS: tl.constexpr,
    HEAD_DEPTH: tl.constexpr,
    CHUNKS: tl.constexpr,
    TILES: tl.constexpr,
    MANY: tl.constexpr,
    SLOTS: tl.constexpr,
    FEW: tl.constexpr,
):
    """Read the last token of one text and draw the next.

    Of each matrix a program has a share of the rows, which it reads in tiles of so many columns and such a depth.
    """
    program = tl.program_id(0)
    kind: tl.constexpr = x.dtype.element_ty
    turned: tl.constexpr = HEADS * SIZE_OF_HEAD
    target = tl.full((), 0, tl.int64)
    if MEET:
        # whoever has begun is at most one part further than this program: all have arrived for the first part
        target += tl.atomic_add(meeting, 0, sem="acquire", scope="gpu") // PROGRAMS * PROGRAMS
    if _PROJECT & PARTS:
        if first == 0:
            # the same by every program: each reads but what it wrote itself
            at = tl.arange(0, BLOCK)
            token = tl.load(board + _TOKEN).to(tl.int64)
            tl.store(x + at, tl.load(embedding + token * HIDDEN + at, mask=at < HIDDEN), mask=at < HIDDEN)
            tl.debug_barrier()
    row = tl.full((), 0, tl.int32)
    for number in range(first, last):
        line = table + number * _WEIGHTS
        if _PROJECT & PARTS:
            weight, norm = _address(line, 1, kind), _address(line, 0, kind)
            _multiply(
                *(weight, x, norm, joined, meeting, target, epsilon, turned + 2 * GROUPS * SIZE_OF_HEAD, HIDDEN),
                *(True, False, False, MEET, PROJECT_SHARE, PROJECT_COLUMNS, PROJECT_DEPTH),
            )
            if MEET:
                target += PROGRAMS
                _arrive(meeting)
        if _ATTEND & PARTS:
            query_norm, key_norm = _address(line, 2, kind), _address(line, 3, kind)
            of_layer = slots.to(tl.int64) * number
            if MEET:
                _wait(meeting, target)
            for item in range(program, GROUPS * SPLITS, PROGRAMS):
                attended(
                    *(row, item % GROUPS, item // GROUPS, joined, keys + of_layer, values + of_layer, mixed, board),
                    *(width, cosines, sines, query_norm, key_norm, mixtures, sums, arrived, epsilon, scale),
                    *(HEADS, GROUPS, SIZE_OF_HEAD, SIZE, MEMBERS, WIDE, TIME, SPLITS),
                )
            if MEET:
                target += PROGRAMS
                _arrive(meeting)
        if _OUTPUT & PARTS:
            weight = _address(line, 4, kind)
            _multiply(
                *(weight, mixed, weight, x, meeting, target, epsilon, HIDDEN, turned),
                *(False, False, True, MEET, OUTPUT_SHARE, OUTPUT_COLUMNS, OUTPUT_DEPTH),
            )
            if MEET:
                target += PROGRAMS
                _arrive(meeting)
        if _GATE & PARTS:
            weight, norm = _address(line, 6, kind), _address(line, 5, kind)
            _multiply(
                *(weight, x, norm, gated, meeting, target, epsilon, INNER, HIDDEN),
                *(True, True, False, MEET, GATE_SHARE, GATE_COLUMNS, GATE_DEPTH),
            )
            if MEET:
                target += PROGRAMS
                _arrive(meeting)
        if _DOWN & PARTS:
            weight = _address(line, 7, kind)
            _multiply(
                *(weight, gated, weight, x, meeting, target, epsilon, HIDDEN, INNER),
                *(False, False, True, MEET, DOWN_SHARE, DOWN_COLUMNS, DOWN_DEPTH),
            )
            if MEET:
                target += PROGRAMS
                _arrive(meeting)
    if _HEAD & PARTS:
        _multiply(
            *(head, x, last_norm, logits, meeting, target, epsilon, OUTPUTS, HIDDEN),
            *(True, False, False, MEET, HEAD_SHARE, HEAD_COLUMNS, HEAD_DEPTH),
        )
        tl.debug_barrier()
        many: tl.constexpr = HEAD_SHARE // _CHUNK
        surveyed(row, program, program * many, many, logits, best, peaks, OUTPUTS, vocab, chunks, PROGRAMS, MANY)
        if MEET:
            target += PROGRAMS
            _arrive(meeting)
    if _PICK & PARTS:
        if program == 0:
            if MEET:
                _wait(meeting, target)
            picked(
                *(row, logits, best, peaks, board, ring, places, names, numbers, width, OUTPUTS, vocab, chunks),
                *(PROGRAMS, 1, CHUNKS, TILES, SLOTS, FEW),
            )
