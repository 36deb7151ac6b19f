"""Compare candidate pairs by what they really hold in common, so that no document is dropped for a chance signature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Hashes, Index, TextBatch
from textus.corpus.duplicates.candidates import Pairs

Shingles = NDArray[np.uint32]
_BLOCK = 1 << 17
"""How many runs are compared at once: a megabyte of numbers to sort, which the caches hold."""
_HIGH = np.uint64(32)


@dataclass(frozen=True)
class Overlaps:
    """How much each pair has in common, in numbers of distinct runs of words."""

    shared: Index
    first: Index
    """How many the first document holds."""
    second: Index

    def __len__(self) -> int:
        return len(self.shared)

    @property
    def jaccard(self) -> NDArray[np.float64]:
        """Return what both hold as a share of what either holds; 0 where neither holds any."""
        return np.asarray(self.shared / np.maximum(self.first + self.second - self.shared, 1))

    @property
    def containment(self) -> NDArray[np.float64]:
        """Return what both hold as a share of the smaller one."""
        return np.asarray(self.shared / np.maximum(np.minimum(self.first, self.second), 1))


def shingle_sets(batch: TextBatch, words: int = 5) -> tuple[Shingles, Index]:
    """Return the distinct runs of `words` words of each text, sorted, and the offset of each text's first.

    32 bits of each hash are kept: two texts of n runs each that share none are taken to share n² / 2^32 of them,
    0.2 of 30,000.
    """
    return distinct(*shingles(batch, words))


def shingles(batch: TextBatch, words: int = 5) -> tuple[Shingles, Index]:
    """Return the runs of `words` words of each text as they come, and the offset of each text's first."""
    hashes, offsets = batch.ngrams(words)
    return kept_bits(hashes), offsets


def kept_bits(hashes: Hashes) -> Shingles:
    """Return of hashes of runs what they are compared by."""
    return (hashes >> _HIGH).astype(np.uint32)


def distinct(runs: Shingles, offsets: Index) -> tuple[Shingles, Index]:
    """Sort the runs of each text, and leave each once."""
    count = len(offsets) - 1
    packed = np.sort((np.repeat(np.arange(count, dtype=np.uint64), np.diff(offsets)) << _HIGH) | runs)
    if len(packed):
        packed = packed[np.concatenate(([True], packed[1:] != packed[:-1]))]
    starts = np.searchsorted(packed, np.arange(count + 1, dtype=np.uint64) << _HIGH)
    return packed.astype(np.uint32), starts.astype(np.int64)


def overlaps(
    pairs: Pairs, shingles: Shingles, offsets: Index, others: tuple[Shingles, Index] | None = None
) -> Overlaps:
    """Count what the two documents of each pair have in common; both numbers of a pair are places in `offsets`.

    The second number is a place in `others`, where these are given. Sets may be files mapped into memory: they are
    read in the order of the pairs, a megabyte at a time.

    >>> runs, offsets = shingle_sets(TextBatch(["a b c d e f", "A, b, c, d, e, g"]))
    >>> overlaps(np.array([[0, 1]]), runs, offsets).jaccard.tolist()
    [0.3333333333333333]
    """
    other_shingles, other_offsets = (shingles, offsets) if others is None else others
    first, second = np.diff(offsets)[pairs[:, 0]], np.diff(other_offsets)[pairs[:, 1]]
    shared = np.zeros(len(pairs), np.int64)
    for start, end in _blocks(first + second):
        left = _of(pairs[start:end, 0], first[start:end], shingles, offsets)
        right = _of(pairs[start:end, 1], second[start:end], other_shingles, other_offsets)
        both = np.concatenate((left, right))
        both.sort()
        twice = both[1:][both[1:] == both[:-1]]
        shared[start:end] = np.bincount((twice >> _HIGH).astype(np.int64), minlength=end - start)
    return Overlaps(shared, first, second)


def _blocks(costs: Index) -> Iterator[tuple[int, int]]:
    """Cut pairs into blocks of about so many runs; one pair at least."""
    ends = np.cumsum(costs)
    start, done = 0, 0
    while start < len(costs):
        end = max(start + 1, int(np.searchsorted(ends, done + _BLOCK, side="right")))
        yield start, end
        start, done = end, int(ends[end - 1])


def _of(documents: Index, sizes: Index, shingles: Shingles, offsets: Index) -> NDArray[np.uint64]:
    """Return the runs of documents one after the other, each below the place of its document."""
    ends = np.cumsum(sizes)
    places = np.arange(ends[-1]) + np.repeat(offsets[documents] - (ends - sizes), sizes)
    return np.asarray((np.repeat(np.arange(len(documents), dtype=np.uint64), sizes) << _HIGH) | shingles[places])
