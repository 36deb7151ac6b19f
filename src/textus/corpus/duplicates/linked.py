"""Find what pairs connect where the pairs do not fit into memory.

Stars are made larger and smaller in turn (Kiveris et al. 2014): whoever has a lower neighbour hands its higher ones to
the lowest of them. In some log(n) rounds, each of two sorts, every document points to the lowest one of its cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from textus.corpus.batch import Index
from textus.corpus.sorting import Rows, Sorter

_LOW, _HIGH = np.uint64(2**32 - 1), np.uint64(32)


def linked(pairs: Iterable[tuple[Index, Index]], folder: Path, memory_bytes: int) -> Sorter:
    """Return rows of each document that pairs join with a lower one: its number, above the lowest that it is joined to.

    A row is one number, the document in its upper half, in the order of documents.
    """

    def sorter() -> Sorter:
        return Sorter(folder, columns=1, keys=1, memory_bytes=memory_bytes // 2)

    edges = sorter()
    for first, second in pairs:
        _append(edges, np.maximum(first, second), np.minimum(first, second))
    is_done = False
    while not is_done:
        both = sorter()
        for high, low in _rows(edges):
            _append(both, high, low)
            _append(both, low, high)
        edges.discard()
        down, is_done = sorter(), True
        for own, neighbour, lowest in _stars(both):
            is_done &= not ((neighbour > own) & (lowest < own)).any()
            handed = neighbour > own
            _append(down, neighbour[handed], np.minimum(own, lowest)[handed])
        both.discard()
        edges = sorter()
        for own, neighbour, lowest in _stars(down):
            is_other = neighbour != lowest
            is_done &= not is_other.any()
            _append(edges, neighbour[is_other], lowest[is_other])
            _append(edges, own[~is_other], lowest[~is_other])
        down.discard()
    return edges


def _append(edges: Sorter, high: Rows | Index, low: Rows | Index) -> None:
    edges.append((high.astype(np.uint64) << _HIGH) | low.astype(np.uint64))


def _rows(edges: Iterable[Rows]) -> Iterator[tuple[Rows, Rows]]:
    """Yield edges, each once."""
    before = None
    for (packed,) in edges:
        is_new = np.ones(len(packed), bool)
        is_new[1:] = packed[1:] != packed[:-1]
        is_new[:1] = packed[0] != before
        before = packed[-1]
        yield packed[is_new] >> _HIGH, packed[is_new] & _LOW


def _stars(edges: Iterable[Rows]) -> Iterator[tuple[Rows, Rows, Rows]]:
    """Yield documents, each neighbour of theirs, and the lowest of these."""
    before, lowest = None, np.zeros(1, np.uint64)
    for own, neighbour in _rows(edges):
        if not len(own):
            continue
        is_new = np.ones(len(own), bool)
        is_new[1:] = own[1:] != own[:-1]
        is_new[:1] = own[0] != before
        lowest = np.concatenate((lowest[-1:], neighbour[is_new]))[np.cumsum(is_new)]
        before = own[-1]
        yield own, neighbour, lowest
