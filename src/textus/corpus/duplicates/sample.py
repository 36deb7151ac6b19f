"""What held-out documents are known by in the search for them: their lowest runs of words, in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index, mixed
from textus.corpus.duplicates.config import LeakageConfig
from textus.corpus.duplicates.verify import Shingles
from textus.corpus.flat import write_flat
from textus.corpus.sorting import Rows, Sorter, starts_of

_SAMPLE = 64
_MOST_OWNERS = 32
"""Of more held-out documents that share a sampled run, each is known by it with a chance of 32 / their number."""
_FEWEST_COMMON = 2
"""So many of those runs must be met where no other is: texts of one template share them and say different things."""
_SURE = 0.5
"""What share of the runs that are expected in common must be met in the sample; one at least."""
_HIGH = np.uint64(32)
_FEWEST_BITS, _SPARSE_BITS, _MOST_BITS = 16, 6, 26
"""A table of up to 8 MB, in which at the best one bit of 64 is set."""
_TOGETHER = 1 << 14
"""Documents, or 64 times so many runs, that are looked at together."""
_KINDS = {
    "runs": np.uint32,
    "owners": np.uint32,
    "is_common": np.bool_,
    "needed": np.int64,
    "needed_common": np.int64,
    "table": np.uint8,
}


@dataclass(frozen=True)
class Sample:
    """What held-out documents are known by: some 550 bytes of each, and up to 8 MB."""

    runs: NDArray[np.uint32]
    """The sampled runs, in order."""
    owners: NDArray[np.uint32]
    """Which document each is of."""
    is_common: NDArray[np.bool_]
    """Whether more documents than are noted have the run."""
    needed: Index
    """How many of its sampled runs another document must hold to be worth comparing."""
    needed_common: Index
    """How many it must hold where all of them are common."""
    table: NDArray[np.uint8]
    """A bit for each way in which a run may begin: set where a sampled one does."""

    @classmethod
    def of(cls, shingles: Shingles, offsets: Index, config: LeakageConfig) -> Sample:
        """Take the lowest runs of each document."""
        counts = np.diff(offsets)
        runs, owners, chance = _lowest(shingles, offsets, 0)
        order = np.lexsort((chance, runs))
        runs, owners = runs[order], owners[order]
        rank = np.arange(len(runs)) - np.searchsorted(runs, runs)
        is_common = np.searchsorted(runs, runs, side="right") - np.searchsorted(runs, runs) > _MOST_OWNERS
        known_by = rank < _MOST_OWNERS
        runs, owners, is_common = runs[known_by], owners[known_by], is_common[known_by]
        kept = np.bincount(owners, minlength=len(counts))
        begins = _begins(len(runs))
        begins[runs >> _shift(begins)] = True
        return cls(runs, owners, is_common, *_needed(kept, config), np.packbits(begins, bitorder="little"))

    @classmethod
    def read(cls, place: Path) -> Sample:
        """Map into memory what `write_sample` wrote."""
        return cls(*(_mapped(place / f"sample_{name}.raw", kind) for name, kind in _KINDS.items()))

    def may_hold(self, runs: NDArray[np.uint32]) -> Index:
        """Return the places of all runs that were sampled, and of a few others."""
        begins = runs >> np.uint32(33 - (8 * len(self.table)).bit_length())
        bits = self.table[begins >> np.uint32(3)] >> (begins & np.uint32(7)).astype(np.uint8)
        return np.flatnonzero(bits & np.uint8(1))


def write_sample(place: Path, shingles: Shingles, offsets: Index, config: LeakageConfig, memory_bytes: int) -> None:
    """Write the sample of documents that need not fit into memory: a file for each array of `Sample.of`."""
    count = len(offsets) - 1
    files = {name: place / f"sample_{name}.raw" for name in _KINDS}
    sorter = Sorter(place, columns=3, keys=2, memory_bytes=memory_bytes)
    for start in range(0, count, _TOGETHER):
        runs, owners, chance = _lowest(shingles, offsets[start : start + _TOGETHER + 1], start)
        sorter.append(runs, chance, owners)
    kept = np.zeros(count, np.int64)
    with ExitStack() as stack:
        opened = [stack.enter_context(files[name].open("wb")) for name in ("runs", "owners", "is_common")]
        for rows, is_common in _known_by(sorter):
            columns = (rows[0].astype(np.uint32), rows[2].astype(np.uint32), is_common)
            for file, values in zip(opened, columns, strict=True):
                write_flat(file, values)
            owners, counts = np.unique(columns[1], return_counts=True)
            kept[owners] += counts
    sorter.discard()
    for name, values in zip(("needed", "needed_common"), _needed(kept, config), strict=True):
        with files[name].open("wb") as file:
            write_flat(file, values)
    every = _mapped(files["runs"], np.uint32)
    begins = _begins(len(every))
    for start in range(0, len(every), _SAMPLE * _TOGETHER):
        begins[every[start : start + _SAMPLE * _TOGETHER] >> _shift(begins)] = True
    with files["table"].open("wb") as file:
        write_flat(file, np.packbits(begins, bitorder="little"))


def _lowest(shingles: Shingles, offsets: Index, first: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32], Rows]:
    """Return the lowest runs of documents, whose each is, from the number `first` on, and a number by chance."""
    counts = np.minimum(np.diff(offsets), _SAMPLE)
    owners = np.repeat(np.arange(first, first + len(counts), dtype=np.uint32), counts)
    places = np.arange(len(owners)) + np.repeat(offsets[:-1] - (np.cumsum(counts) - counts), counts)
    runs = np.asarray(shingles[places])
    return runs, owners, mixed((owners.astype(np.uint64) << _HIGH) | runs)


def _known_by(ordered: Sorter) -> Iterator[tuple[Rows, NDArray[np.bool_]]]:
    """Yield the first rows of each run, and whether it has more; those of the last run wait for what follows."""
    waiting, size = np.zeros((3, 0), np.uint64), 0
    before = None
    for rows in ordered:
        is_new = starts_of(rows[:1], before)
        groups = np.cumsum(is_new)  # 0: goes on
        sizes = np.bincount(groups)
        rank = np.arange(len(groups)) - (np.cumsum(sizes) - sizes)[groups]
        rank[groups == 0] += size
        sizes[0] += size
        first = rank < _MOST_OWNERS
        kept = np.concatenate((waiting, rows[:, first]), axis=1)
        own = np.concatenate((np.zeros(waiting.shape[1], np.int64), groups[first]))
        ended, size = own < groups[-1], int(sizes[-1])
        yield kept[:, ended], sizes[own[ended]] > _MOST_OWNERS
        waiting, before = kept[:, ~ended], (int(rows[0, -1]),)
    yield waiting, np.full(waiting.shape[1], size > _MOST_OWNERS)


def _needed(kept: Index, config: LeakageConfig) -> tuple[Index, Index]:
    """Return how many of the runs that documents are known by must be met, and of these alone that are common."""
    # A document of Jaccard index s has at least the share s of its runs in common with the other.
    expected = min(config.likeness, config.containment) * kept
    needed: Index = np.maximum(_SURE * expected, 1).astype(np.int64)
    return needed, np.maximum(needed, np.minimum(kept, _FEWEST_COMMON))


def _begins(runs: int) -> NDArray[np.bool_]:
    return np.zeros(1 << min(_MOST_BITS, max(_FEWEST_BITS, runs.bit_length() + _SPARSE_BITS)), bool)


def _shift(begins: NDArray[np.bool_]) -> np.uint32:
    return np.uint32(33 - len(begins).bit_length())


def _mapped(path: Path, kind: Any) -> NDArray[Any]:
    return np.memmap(path, kind, "r") if path.stat().st_size else np.zeros(0, kind)
