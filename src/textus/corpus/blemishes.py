"""Tell at a glance which texts a repair could change: few, and only these are repaired one by one."""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import SPACE, Index, TextBatch
from textus.corpus.clean import SUSPECTS

_TAB, _NEWLINE, _FIRST_PRINTABLE, _DELETE, _NO_BREAK_SPACE = 0x09, 0x0A, 0x20, 0x7F, 0xA0
_FOREIGN, _COMPOSABLE, _BASIC = 0x80, 0x300, 0x10000
_SUSPECT = "\u2028\u2029\ufeffŒœÂÃ"
"""Separators of lines, byte order marks, and what UTF-8 that was read as Latin-1 is full of."""
_FIRST = np.array([ord(char) for char in "ÂÃÎÐØÙ√Œœ"], np.uint32)
"""What may be wrong before any character beyond ASCII."""
_JAMO = range(0x1100, 0x1200)
"""Letters that compose with each other; everywhere else below U+10000 what composes is a mark."""


def may_need_repair(batch: TextBatch) -> NDArray[np.bool_]:
    r"""Tell which texts `clean` may change; all others stay as they are, whatever the settings.

    >>> texts = ["To be, or\n\tnot to be — Ça va ?\n\nEnd", "at the end: \n", "cafe\u0301", "Itâ€™s", "\r\n"]
    >>> may_need_repair(TextBatch(texts)).tolist()
    [False, True, True, True, True]
    """
    codes = batch.codes
    # Line breaks, control characters and what is not ASCII: everything else is looked at once.
    places = np.flatnonzero((codes < _FIRST_PRINTABLE) | (codes >= _DELETE))
    found = codes[places]
    breaks = places[found == _NEWLINE]
    is_control = (found < _FIRST_PRINTABLE) & (found != _TAB) & (found != _NEWLINE)
    is_control |= (found >= _DELETE) & (found < _NO_BREAK_SPACE)
    foreign, ones = places[found >= _FOREIGN], found[found >= _FOREIGN]
    flagged = [places[is_control], foreign[_is_odd(ones)], _pairs(codes, foreign), _loose(batch, breaks)]
    marked = np.zeros(len(batch), bool)
    for some in flagged:
        marked[np.searchsorted(batch.starts, some, "right") - 1] = True
    # Line breaks at either end of a text; behind it there is the one that was put there.
    filled = np.flatnonzero(np.diff(batch.starts) > 1)
    at_end = (codes[batch.starts[filled]] == _NEWLINE) | (codes[batch.starts[filled + 1] - 2] == _NEWLINE)
    marked[filled[at_end]] = True
    return marked


def _is_odd(codes: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Tell which characters, even alone among ASCII, may be wrong decoding, accents to compose, or surrogates."""
    known = _known()
    codes = np.minimum(codes, _BASIC)
    if len(new := np.unique(codes[known[codes] == 0])):
        known[new] = [2 if _may_change(code) else 1 for code in new.tolist()]
    return np.asarray(known[codes] == 2)


def _may_change(code: int) -> bool:
    character = chr(code)
    if code < _COMPOSABLE or character in _SUSPECT:
        return character in _SUSPECT
    kind = unicodedata.category(character)
    composes = kind[0] == "M" or code in _JAMO or not unicodedata.is_normalized("NFC", character)
    return code >= _BASIC or composes or kind in ("Cc", "Cn", "Cs")


def _pairs(codes: NDArray[np.uint32], foreign: Index) -> Index:
    """Find the characters that are suspect with the one behind them."""
    foreign = foreign[codes[foreign + 1] >= _FOREIGN]
    second = np.minimum(codes[foreign + 1], _BASIC)
    return foreign[_seconds()[second] | np.isin(codes[foreign], _FIRST)]


@cache
def _known() -> NDArray[np.uint8]:
    """Return what is known of each character: nothing yet, that it stays as it is, or that it may change."""
    return np.zeros(_BASIC + 1, np.uint8)


@cache
def _seconds() -> NDArray[np.bool_]:
    found = np.zeros(_BASIC + 1, bool)
    found[[ord(char) for char in SUSPECTS.findall("".join(map(chr, range(_BASIC))))]] = True
    return found


def _loose(batch: TextBatch, breaks: Index) -> Index:
    """Find line breaks with white space before them, or three others."""
    codes, inner = batch.codes, breaks[breaks > 0]
    spaced = ((batch.classes[inner - 1] & SPACE) != 0) & (codes[inner - 1] != _NEWLINE)
    fourth = breaks[3:][breaks[3:] - breaks[:-3] == 3]
    return np.concatenate([inner[spaced], fourth])
