"""Runs of words on disk: one array of numbers, and where each document's begin; opened without being read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from textus.corpus.batch import Index, TextBatch
from textus.corpus.duplicates.verify import Shingles, distinct, shingle_sets

_OFFSETS, _SHINGLES = "offsets.npy", "shingles.npy"
_TOGETHER = 1 << 18
"""Runs that are gathered at a time."""


class RunWriter:
    """Write runs of words document by document, some documents at a time."""

    def __init__(self, place: Path) -> None:
        self._place, self._sizes = place, [np.zeros(1, np.int64)]
        self._file = (place / _SHINGLES).open("wb")

    def append(self, runs: Shingles, offsets: Index) -> None:
        """Add documents; `offsets` says where the runs of each begin."""
        runs.tofile(self._file)
        self._sizes.append(np.diff(offsets))

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.close()
        if kind is None:
            np.save(self._place / _OFFSETS, np.cumsum(np.concatenate(self._sizes)))


def write_sets(place: Path, batches: Iterable[TextBatch], words: int) -> None:
    """Write the sorted set of each text, one behind the other."""
    with RunWriter(place) as writer:
        for batch in batches:
            writer.append(*shingle_sets(batch, words))


def copy_sets(place: Path, source: Path, rows: Index) -> None:
    """Write the sorted sets of some of the documents whose runs are at `source`."""
    with RunWriter(place) as writer:
        for _, runs, offsets in gathered(source, rows):
            writer.append(*distinct(runs, offsets))


def gathered(place: Path, rows: Index) -> Iterator[tuple[Index, Shingles, Index]]:
    """Yield some of the documents whose runs are there, a few at a time: which, their runs, where each one's begin."""
    runs, offsets = open_sets(place)
    starts, sizes = offsets[rows], offsets[rows + 1] - offsets[rows]
    ends = np.cumsum(sizes)
    first = 0
    while first < len(rows):
        done = int(ends[first - 1]) if first else 0
        stop = max(first + 1, int(np.searchsorted(ends, done + _TOGETHER, "right")))
        own = np.concatenate([np.zeros(1, np.int64), ends[first:stop] - done])
        places = np.arange(own[-1]) + np.repeat(starts[first:stop] - own[:-1], sizes[first:stop])
        yield rows[first:stop], np.asarray(runs[places]), own
        first = stop


def open_sets(place: Path) -> tuple[Shingles, Index]:
    """Return what was written: the runs, mapped into memory, and the offset of each text's first."""
    offsets = read_offsets(place)
    return np.memmap(place / _SHINGLES, np.uint32, "r") if offsets[-1] else np.zeros(0, np.uint32), offsets


def read_offsets(place: Path) -> Index:
    """Return the offsets alone, from which the sizes follow."""
    found: Index = np.load(place / _OFFSETS)
    return found
