"""Where words begin among tokens: as the text was cut before merging, not as gaps in it suggest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

_LOOSE = re.compile("[\udc80-\udcff]")
"""A byte that is no UTF-8 where a window has cut a character in two."""

Cut = Callable[[str], Iterator[int]]
"""From a text to the sizes of its words in bytes of UTF-8."""


def starts_by_cut(
    tokens: npt.NDArray[np.int64], token_bytes: Mapping[int, bytes], special: frozenset[int], cut: Cut
) -> npt.NDArray[np.bool_]:
    """Tell of each token whether a word begins with it; a special token is a word, and another begins behind it.

    A row that was cut out of a text begins a word, whatever stood before it.
    """
    starts = np.zeros(len(tokens), np.bool_)
    alone = np.isin(tokens, list(special))
    starts[alone] = True
    edges = np.flatnonzero(np.diff(alone.astype(np.int8), prepend=1, append=1))
    for begin, end in edges.reshape(-1, 2).tolist():
        parts = [token_bytes[token] for token in tokens[begin:end].tolist()]
        sizes = np.array([len(part) for part in parts])
        text = _LOOSE.sub("\0", b"".join(parts).decode("utf-8", "surrogateescape"))
        words = np.zeros(int(sizes.sum()) + 1, np.bool_)
        ends = np.cumsum(np.fromiter(cut(text), np.int64))
        words[ends[ends < len(words)]] = True
        words[0] = True
        starts[begin:end] = words[np.cumsum(sizes) - sizes]
    return starts


def starts_by_mark(
    tokens: npt.NDArray[np.int64], token_bytes: Mapping[int, bytes], special: frozenset[int]
) -> npt.NDArray[np.bool_]:
    """Tell the same by the space that WordPiece and Unigram leave before a word's first token."""
    starts = np.array([token in special or token_bytes[token].startswith(b" ") for token in tokens.tolist()], np.bool_)
    starts[:1] = True
    starts[1:] |= np.isin(tokens[:-1], list(special))
    return starts
