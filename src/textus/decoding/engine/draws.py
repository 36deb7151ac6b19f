"""Kernels that draw the next token of each text on a GPU, in Triton, and move its line of the board on."""

# mypy: allow-untyped-defs, allow-untyped-decorators, allow-incomplete-defs
# ruff: noqa: N803 - Triton's constants are written in capitals

from __future__ import annotations

import triton
import triton.language as tl

from textus.decoding.engine.board import (
    AGAIN,
    AGE,
    BOUND,
    CHUNK,
    FLAGS,
    GREEDY,
    HEAT,
    HIGH,
    LEAST,
    LOST,
    LOW,
    POSITION,
    PROCESSED,
    ROW,
    TOKEN,
    TOP,
    WRITTEN,
)

_TOKEN, _POSITION, _WRITTEN = tl.constexpr(TOKEN), tl.constexpr(POSITION), tl.constexpr(WRITTEN)
_AGE, _TOP, _FLAGS = tl.constexpr(AGE), tl.constexpr(TOP), tl.constexpr(FLAGS)
_ROW, _LOW, _HIGH, _HEAT = tl.constexpr(ROW), tl.constexpr(LOW), tl.constexpr(HIGH), tl.constexpr(HEAT)
_BOUND, _LEAST, _CHUNK = tl.constexpr(BOUND), tl.constexpr(LEAST), tl.constexpr(CHUNK)
_GREEDY, _PROCESSED = tl.constexpr(GREEDY), tl.constexpr(PROCESSED)
_LOST, _AGAIN = tl.constexpr(LOST), tl.constexpr(AGAIN)


@triton.jit
def surveyed(row, tile, first, count, logits, best, sums, stride, vocab, chunks, tiles, MANY: tl.constexpr):
    """Find the best logit of each of `count` chunks, and the sum of exponentials in all of them."""
    place = tl.arange(0, MANY)
    chunk = first + place
    at = chunk[:, None] * _CHUNK + tl.arange(0, _CHUNK)[None, :]
    seen = (at < vocab) & (place < count)[:, None]
    found = tl.load(logits + row.to(tl.int64) * stride + at, mask=seen, other=float("-inf"))
    highest = tl.max(found, 1)
    tl.store(best + row * chunks + chunk, highest, mask=(chunk < chunks) & (place < count))
    most = tl.max(highest, 0)
    base = tl.where(most == float("-inf"), 0.0, most)
    tl.store(sums + (row * tiles + tile) * 2, most)
    tl.store(sums + (row * tiles + tile) * 2 + 1, tl.sum(tl.sum(tl.exp(found - base), 1), 0))


@triton.jit
def survey(logits, best, sums, stride, vocab, chunks, tiles, MANY: tl.constexpr):
    """Look at the logits of each row, `MANY` chunks of them at a time."""
    row, tile = tl.program_id(0), tl.program_id(1)
    surveyed(row, tile, tile * MANY, MANY, logits, best, sums, stride, vocab, chunks, tiles, MANY)


@triton.jit
def _ordered(x):
    """Return whole numbers from 0 to 2**32 - 1 that are ordered as float32 numbers are; both zeros are alike."""
    bits = (x + 0.0).to(tl.int32, bitcast=True)
    return tl.where(bits >= 0, bits, bits ^ 0x7FFFFFFF).to(tl.uint32, bitcast=True) ^ 0x80000000


@triton.jit
def _reached(numbers, count):
    """Return the greatest bound that at least `count` numbers reach, two bits at a time, three counts in one sum."""
    bound = tl.full((), 0, tl.uint32)
    step = tl.full((), 1073741824, tl.uint32)
    for _ in range(16):
        one = (numbers >= bound + step).to(tl.int64)
        two = (numbers >= bound + 2 * step).to(tl.int64)
        three = (numbers >= bound + 3 * step).to(tl.int64)
        counts = tl.sum(one + (two << 20) + (three << 40), 0)
        digit = ((counts & 1048575) >= count).to(tl.uint32) + (((counts >> 20) & 1048575) >= count).to(tl.uint32)
        bound += (digit + ((counts >> 40) >= count).to(tl.uint32)) * step
        step = step // 4
    return bound


@triton.jit
def _mix(bits):
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB
    return bits ^ (bits >> 31)


@triton.jit
def _noise(line, tokens):
    """Return the logarithms of the waiting times of tokens, as `sampler.draw_among` has them."""
    low = tl.load(line + _LOW).to(tl.uint32, bitcast=True).to(tl.uint64)
    high = tl.load(line + _HIGH).to(tl.uint32, bitcast=True).to(tl.uint64)
    seed = (high << 32) | low
    row, position = tl.load(line + _ROW).to(tl.uint64), tl.load(line + _WRITTEN).to(tl.uint64)
    key = _mix(_mix(_mix(seed) + row) + position)
    bits = _mix(key + (tokens.to(tl.uint64) + 1) * 0x9E3779B97F4A7C15) >> 12
    uniform = (bits.to(tl.int64).to(tl.float64) + 0.5) * 2.220446049250313e-16
    return tl.log(-tl.log(uniform))


@triton.jit
def picked(
    row,
    logits,
    best,
    sums,
    board,
    ring,
    places,
    names,
    numbers,
    width,
    stride,
    vocab,
    chunks,
    tiles,
    rows,
    CHUNKS: tl.constexpr,
    TILES: tl.constexpr,
    SLOTS: tl.constexpr,
    FEW: tl.constexpr,
):
    """Draw a text's next token: temperature, top-k, top-p, min-p and the noise of its place; then move its line on.

    The k-th best of the best of chunks is a bound that the k best reach, so only chunks that reach it are read. Nothing
    is sorted: what comes before a token is counted.
    """
    line, own = board + row * width, logits + row.to(tl.int64) * stride
    top, flags = tl.load(line + _TOP), tl.load(line + _FLAGS)
    heat = tl.load(line + _HEAT).to(tl.float32, bitcast=True)
    bound = tl.load(line + _BOUND).to(tl.float32, bitcast=True)
    least = tl.load(line + _LEAST).to(tl.float32, bitcast=True)
    chunk = tl.arange(0, CHUNKS)
    highest = tl.load(best + row * chunks + chunk, mask=chunk < chunks, other=float("-inf"))
    reached = _ordered(tl.div_rn(highest, heat + tl.zeros_like(highest)))
    good = (reached >= _reached(reached, top)) & (chunk < chunks)
    order = tl.cumsum(good.to(tl.int32), 0) - 1
    count = tl.sum(good.to(tl.int32), 0)
    tl.store(places + row * SLOTS + order, chunk, mask=good & (order < SLOTS))
    tl.debug_barrier()
    item = tl.arange(0, SLOTS * _CHUNK)
    slot = item // _CHUNK
    there = slot < count
    token = tl.load(places + row * SLOTS + slot, mask=there, other=0) * _CHUNK + item % _CHUNK
    there = there & (token < vocab)
    value = tl.load(own + token, mask=there, other=float("-inf"))
    value = tl.div_rn(value, heat + tl.zeros_like(value))
    reached = _ordered(value)
    good = (reached >= _reached(reached, top)) & there
    order = tl.cumsum(good.to(tl.int32), 0) - 1
    kept = tl.sum(good.to(tl.int32), 0)
    room = good & (order < FEW)
    tl.store(names + row * FEW + order, token, mask=room)
    tl.store(numbers + row * FEW + order, value, mask=room)
    tl.debug_barrier()
    few = tl.arange(0, FEW)
    is_kept = few < kept
    token = tl.load(names + row * FEW + few, mask=is_kept, other=2147483647)
    value = tl.load(numbers + row * FEW + few, mask=is_kept, other=float("-inf"))
    most = tl.max(value, 0)
    # as `TopP`: summed from the least likely up, and of those that tie from the lowest id up
    summed = tl.zeros((FEW,), tl.float32)
    behind = tl.zeros((FEW,), tl.int32)
    total = tl.sum(tl.where(is_kept, tl.exp(value - most), 0.0), 0)
    for start in range(0, FEW, 32):
        next_few = start + tl.arange(0, 32)
        is_there = next_few < kept
        other = tl.load(numbers + row * FEW + next_few, mask=is_there, other=float("-inf"))
        name = tl.load(names + row * FEW + next_few, mask=is_there, other=2147483647)
        part = tl.where(is_there, tl.exp(other - most) / total, 0.0)
        sooner = (other[None, :] < value[:, None]) | (
            (other[None, :] == value[:, None]) & (name[None, :] <= token[:, None])
        )
        summed += tl.sum(tl.where(sooner, part[None, :], 0.0), 1)
        behind += tl.sum(((~sooner) & is_there[None, :]).to(tl.int32), 1)
    is_kept = is_kept & ((summed > bound) | (behind == 0))
    chance = tl.where(is_kept, tl.exp(value - most), 0.0)
    chance = chance / tl.sum(chance, 0)
    is_kept = is_kept & (chance >= least * tl.max(chance, 0))
    score = tl.where(is_kept, value, float("-inf")).to(tl.float64)
    if (flags & _GREEDY) == 0:
        score = score - _noise(line, token)
    winner = tl.min(tl.where(is_kept & (score == tl.max(score, 0)), token, 2147483647), 0)
    # what the model itself says of it, or what is left of that
    tile = tl.arange(0, TILES)
    peaks = tl.load(sums + (row * tiles + tile) * 2, mask=tile < tiles, other=float("-inf"))
    parts = tl.load(sums + (row * tiles + tile) * 2 + 1, mask=tile < tiles, other=0)
    peak = tl.max(peaks, 0)
    whole = tl.sum(tl.where(parts == 0, 0.0, parts * tl.exp(peaks - peak)), 0)
    is_lost = ~(whole > 0) | (whole == float("inf"))
    chosen = tl.load(own + winner, mask=winner < vocab, other=0)
    logprob = chosen - peak - tl.log(whole)
    if (flags & _PROCESSED) != 0:
        left = tl.sum(tl.where(is_kept, tl.exp(value - most), 0.0), 0)
        logprob = tl.div_rn(chosen, heat) - most - tl.log(left)
    drawn = tl.where(is_lost, _LOST, tl.where((count > SLOTS) | (kept > FEW), _AGAIN, winner))
    age = tl.load(line + _AGE)
    tl.store(ring + (age * rows + row) * 2, drawn)
    tl.store(ring + (age * rows + row) * 2 + 1, logprob.to(tl.int32, bitcast=True))
    tl.store(line + _AGE, age + 1)
    tl.store(line + _TOKEN, tl.where(drawn < 0, 0, drawn))
    tl.store(line + _POSITION, tl.load(line + _POSITION) + 1)
    tl.store(line + _WRITTEN, tl.load(line + _WRITTEN) + 1)


@triton.jit
def pick(
    logits,
    best,
    sums,
    board,
    ring,
    places,
    names,
    numbers,
    width,
    stride,
    vocab,
    chunks,
    tiles,
    rows,
    CHUNKS: tl.constexpr,
    TILES: tl.constexpr,
    SLOTS: tl.constexpr,
    FEW: tl.constexpr,
):
    """Draw the next token of each text."""
    picked(
        *(tl.program_id(0), logits, best, sums, board, ring, places, names, numbers, width, stride, vocab),
        *(chunks, tiles, rows, CHUNKS, TILES, SLOTS, FEW),
    )
