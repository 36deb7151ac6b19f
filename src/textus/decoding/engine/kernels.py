"""Kernels for one step of writing on a GPU, in Triton: few, since to begin one takes as long as most of them run.

All of them find what they need of each text in its line of the board, which stays on the device: its last token, where
it stands, how it is written and where its keys are. The last kernel of a step writes the token that it draws back into
the line, so that the next step can begin without the host. `swift.py` calls them, in this order.
"""

from __future__ import annotations

import triton
import triton.language as tl

TOKEN, POSITION, WRITTEN, AGE, FIRST, SOURCE = 0, 1, 2, 3, 4, 5
"""Columns: the last token, its place in the text, how many were written before it, steps since the host filled the
line, the first line of the same text in this pass, and where the token is among those drawn last (-1: it is here)."""
TOP, FLAGS, ROW, LOW, HIGH, HEAT, BOUND, LEAST = 6, 7, 8, 9, 10, 11, 12, 13
"""How the text is written: top-k, `GREEDY` and `PROCESSED`, row and seed, temperature, 1 - top-p, min-p."""
TABLE = 16
"""From here on: the text's blocks."""
GREEDY, PROCESSED = 1, 2
"""No draw; log-probabilities are those after all steps."""
LOST, AGAIN = -1, -2
"""In place of a token: nothing may follow; more tokens tie at the border of top-k than there is room for."""
CHUNK = 64
"""The best logit of every so many is looked at first."""

_TOKEN, _POSITION, _WRITTEN, _AGE = (
    tl.constexpr(TOKEN),
    tl.constexpr(POSITION),
    tl.constexpr(WRITTEN),
    tl.constexpr(AGE),
)
_FIRST, _SOURCE, _TOP, _FLAGS = tl.constexpr(FIRST), tl.constexpr(SOURCE), tl.constexpr(TOP), tl.constexpr(FLAGS)
_ROW, _LOW, _HIGH, _HEAT = tl.constexpr(ROW), tl.constexpr(LOW), tl.constexpr(HIGH), tl.constexpr(HEAT)
_BOUND, _LEAST, _TABLE, _CHUNK = tl.constexpr(BOUND), tl.constexpr(LEAST), tl.constexpr(TABLE), tl.constexpr(CHUNK)
_GREEDY, _PROCESSED = tl.constexpr(GREEDY), tl.constexpr(PROCESSED)
_LOST, _AGAIN = tl.constexpr(LOST), tl.constexpr(AGAIN)


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
def _turned(own, far, norm, far_norm, cosine, sine, mask, size, epsilon):
    """Norm rows and turn them; `far` are the numbers that each is paired with."""
    x = tl.load(own, mask=mask, other=0).to(tl.float32)
    paired = tl.load(far, mask=mask, other=0).to(tl.float32)
    short = tl.rsqrt(tl.sum(x * x, 1) / size + epsilon)[:, None]
    return x * short * norm * cosine + paired * short * far_norm * sine


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
    """Norm and turn queries and keys, keep keys and values in their blocks, and mix the values that each text sees.

    Of the keys of a text every program takes a share; who comes last puts the shares together.
    """
    row, group, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
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
    share = tl.cdiv(tl.cdiv(before, TIME), SPLITS) * TIME
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
    if SPLITS == 1:
        tl.store(result, (mixed / total[:, None]).to(kind), mask=mine)
    else:
        text = row * GROUPS + group
        here = (text * SPLITS + split) * MEMBERS + member
        tl.store(mixtures + here[:, None] * WIDE + at[None, :], mixed)
        tl.store(sums + 2 * here, best)
        tl.store(sums + 2 * here + 1, total)
        tl.debug_barrier()
        if tl.atomic_add(arrived + text, 1) == SPLITS - 1:
            best = tl.full((MEMBERS,), float("-inf"), tl.float32)
            total = tl.zeros((MEMBERS,), tl.float32)
            mixed = tl.zeros((MEMBERS, WIDE), tl.float32)
            for part in range(SPLITS):
                here = (text * SPLITS + part) * MEMBERS + member
                found = tl.load(sums + 2 * here, cache_modifier=".cg")
                higher = tl.maximum(best, found)
                shrink, weights = tl.exp(best - higher), tl.exp(found - higher)
                total = total * shrink + tl.load(sums + 2 * here + 1, cache_modifier=".cg") * weights
                more = tl.load(mixtures + here[:, None] * WIDE + at[None, :], cache_modifier=".cg")
                mixed = mixed * shrink[:, None] + more * weights[:, None]
                best = higher
            tl.store(result, (mixed / total[:, None]).to(kind), mask=mine)
            tl.store(arrived + text, 0)


@triton.jit
def survey(logits, best, sums, stride, vocab, chunks, tiles, MANY: tl.constexpr):
    """Find the best logit of each chunk, and of each tile of `MANY` chunks the sum of exponentials."""
    row, tile = tl.program_id(0), tl.program_id(1)
    chunk = tile * MANY + tl.arange(0, MANY)
    at = chunk[:, None] * _CHUNK + tl.arange(0, _CHUNK)[None, :]
    found = tl.load(logits + row.to(tl.int64) * stride + at, mask=at < vocab, other=float("-inf"))
    highest = tl.max(found, 1)
    tl.store(best + row * chunks + chunk, highest, mask=chunk < chunks)
    most = tl.max(highest, 0)
    base = tl.where(most == float("-inf"), 0.0, most)
    tl.store(sums + (row * tiles + tile) * 2, most)
    tl.store(sums + (row * tiles + tile) * 2 + 1, tl.sum(tl.sum(tl.exp(found - base), 1), 0))


@triton.jit
def _ordered(x):
    """Return whole numbers from 0 to 2**32 - 1 that are ordered as float32 numbers are; both zeros are alike."""
    bits = (x + 0.0).to(tl.int32, bitcast=True)
    return tl.where(bits >= 0, bits, bits ^ 0x7FFFFFFF).to(tl.int64) + 2147483648


@triton.jit
def _reached(numbers, count):
    """Return the greatest bound that at least `count` numbers reach."""
    bound = tl.full((), 0, tl.int64)
    bit = tl.full((), 2147483648, tl.int64)
    for _ in range(32):
        reach = tl.sum((numbers >= bound + bit).to(tl.int32), 0)
        bound = tl.where(reach >= count, bound + bit, bound)
        bit = bit // 2
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
    """Draw a text's next token: temperature, top-k, top-p, min-p and the noise of its place; then move its line on.

    The k-th best of the best of chunks is a bound that the k best reach, so only chunks that reach it are read. Nothing
    is sorted: what comes before a token is counted.
    """
    row = tl.program_id(0)
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
