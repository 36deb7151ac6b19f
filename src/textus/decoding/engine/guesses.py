"""A kernel that guesses how texts go on, by what followed the same tokens in them before ("prompt lookup"), in Triton.

The lines of one text stand together: the first has its last token, the others what is guessed behind it. Each line
draws with the random numbers of its own place, so a guess is right where it is what the line before it drew, and the
text is the one that is written without guesses.
"""

# mypy: allow-untyped-defs, allow-untyped-decorators, allow-incomplete-defs
# ruff: noqa: N803 - Triton's constants are written in capitals

from __future__ import annotations

import triton
import triton.language as tl

from textus.decoding.engine.board import AGE, POSITION, ROOM, TOKEN, WRITTEN

_TOKEN, _POSITION, _WRITTEN = tl.constexpr(TOKEN), tl.constexpr(POSITION), tl.constexpr(WRITTEN)
_AGE, _ROOM = tl.constexpr(AGE), tl.constexpr(ROOM)
_NEVER = tl.constexpr(-3)
"""What no line draws."""


@triton.jit
def guess(
    board,
    said,
    guesses,
    ring,
    counts,
    width,
    context,
    rows,
    START: tl.constexpr,
    EACH: tl.constexpr,
    TIME: tl.constexpr,
):
    """Take what was drawn up to the first guess that was wrong, and guess anew; `START`: nothing was drawn yet."""
    text = tl.program_id(0)
    line, own = board + text * EACH * width, said + text * context
    member = tl.arange(0, EACH)
    guessed = guesses + text * EACH + member
    position, written, room = tl.load(line + _POSITION), tl.load(line + _WRITTEN), tl.load(line + _ROOM)
    age = tl.load(line + _AGE)
    if not START:
        position, written, age = position - 1, written - 1, age - 1
        drawn = tl.load(ring + (age * rows + text * EACH + member) * 2)
        count = 1 + tl.min(tl.where(drawn == tl.load(guessed), EACH, member), 0)
        # behind a token that is none nothing counts, and nothing is written any more
        none = tl.min(tl.where(drawn < 0, member, EACH), 0)
        is_lost = none < count
        count = tl.minimum(tl.where(is_lost, none + 1, count), room)
        tl.store(own + position + 1 + member, tl.maximum(drawn, 0), mask=member < count)
        tl.store(counts + age * tl.num_programs(0) + text, count)
        room = tl.where(is_lost, 0, room - count)
        position, written, age = position + count, written + count, age + 1
        tl.debug_barrier()
    # the longest run of the last three tokens or fewer that stands earlier too, and of those the last
    at = tl.arange(0, TIME)
    is_same = at < position
    longest = tl.zeros((TIME,), tl.int32)
    for back in tl.static_range(3):
        is_there = is_same & (at >= back)
        wanted = tl.load(own + position - back, mask=position >= back, other=_NEVER)
        is_same = is_there & (tl.load(own + at - back, mask=is_there, other=0) == wanted)
        longest += is_same.to(tl.int32)
    best = tl.max(tl.where(longest > 0, longest * TIME + at, -1), 0)
    found = tl.where(best < 0, tl.maximum(position - 1, 0), best % TIME)
    # what would follow the end of the text is what followed the same place before
    turn = tl.maximum(position - found, 1)
    token = tl.load(own + found + 1 + member % turn, mask=found + 1 + member % turn <= position, other=0)
    tl.store(guessed, tl.where(member < EACH - 1, token, _NEVER))
    first = member == 0
    behind = tl.load(own + found + 1 + (member - 1) % turn, mask=(member > 0) & (found < position), other=0)
    last = tl.load(own + position)
    lines = line + member * width
    tl.store(lines + _TOKEN, tl.where(first, last, behind))
    tl.store(lines + _POSITION, position + member)
    tl.store(lines + _WRITTEN, written + member)
    tl.store(lines + _AGE, age + tl.zeros_like(member))
    tl.store(lines + _ROOM, room + tl.zeros_like(member))
