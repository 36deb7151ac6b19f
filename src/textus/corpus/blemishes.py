"""Tell at a glance which texts a repair could change: few, and only these are repaired one by one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import SPACE, Index, TextBatch

_TAB, _NEWLINE, _FIRST_PRINTABLE, _DELETE, _NO_BREAK_SPACE = 0x09, 0x0A, 0x20, 0x7F, 0xA0
_FOREIGN, _COMPOSABLE = 0x80, 0x300
_SUSPECT = np.array([ord(char) for char in "\u2028\u2029\ufeffŒœÂÃ"], np.uint32)
"""Separators of lines, byte order marks, and what UTF-8 that was read as Latin-1 is full of."""
_PLAIN = ((0x2010, 0x2028), (0x2030, 0x205F), (0x20A0, 0x20C0))
"""Dashes, quotation marks and currencies: beyond the first accents that stand alone, and never composed."""


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
    flagged = [places[is_control], foreign[_is_odd(ones) | (codes[foreign + 1] >= _FOREIGN)], _loose(batch, breaks)]
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
    odd = codes >= _COMPOSABLE
    for first, end in _PLAIN:
        odd &= (codes < first) | (codes >= end)
    return odd | np.isin(codes, _SUSPECT)


def _loose(batch: TextBatch, breaks: Index) -> Index:
    """Find line breaks with white space before them, or three others."""
    codes, inner = batch.codes, breaks[breaks > 0]
    spaced = ((batch.classes[inner - 1] & SPACE) != 0) & (codes[inner - 1] != _NEWLINE)
    fourth = breaks[3:][breaks[3:] - breaks[:-3] == 3]
    return np.concatenate([inner[spaced], fourth])
