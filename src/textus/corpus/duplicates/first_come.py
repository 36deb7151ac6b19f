"""Drop what repeats another, where the pairs do not fit into memory: documents are gone through from the best on.

It does what `clusters.repeats` does of pairs in memory: a document is dropped for one that is kept and that it was
itself compared with, never for the neighbour of a neighbour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index
from textus.corpus.bits import Bits
from textus.corpus.duplicates.candidates import Pairs
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.duplicates.verify import Overlaps
from textus.corpus.flat import Flat
from textus.corpus.sorting import Sorter, as_bits, as_floats

_AT_ONCE = 1 << 14


def first_come(
    edges: Iterable[tuple[Pairs, Overlaps]], standing: Flat, config: DuplicatesConfig, documents: int, folder: Path,
    memory_bytes: int,
) -> Iterator[tuple[Index, Index, NDArray[np.float64]]]:  # fmt: skip
    """Yield the documents to drop, in order, the kept one that each is most like, and how alike the two are.

    A pair counts from `config.threshold` of Jaccard on; then the one of higher standing, or the later of two of one
    standing, may go. It also counts where `config.containment` of the smaller stands in the larger; then the smaller
    may go, unless it comes first: a document of a preferred source is never dropped for one of another.
    """
    ordered = Sorter(folder, columns=4, keys=2, memory_bytes=memory_bytes // 2)
    for pairs, overlaps in edges:
        places = standing.take(pairs.ravel()).reshape(-1, 2)
        ahead = (places[:, 0] < places[:, 1]) | ((places[:, 0] == places[:, 1]) & (pairs[:, 0] < pairs[:, 1]))
        better, worse = np.where(ahead, pairs.T, pairs.T[::-1])
        counts = overlaps.jaccard >= config.threshold
        if config.containment > 0:
            sizes = np.where(ahead, overlaps.first, overlaps.second)
            is_larger = 2 * sizes >= overlaps.first + overlaps.second
            counts |= (overlaps.containment >= config.containment) & is_larger
        ordered.append(places.min(axis=1)[counts], better[counts], worse[counts], as_bits(overlaps.jaccard[counts]))
    dropped = _dropped(ordered, documents)
    best = Sorter(folder, columns=4, keys=4, memory_bytes=memory_bytes // 2)
    for place, better, worse, likeness in ordered:
        is_reason = dropped[worse.astype(np.int64)] & ~dropped[better.astype(np.int64)]
        best.append(worse[is_reason], ~likeness[is_reason], place[is_reason], better[is_reason])
    ordered.discard()
    before = None
    for worse, unlikeness, _, better in best:
        is_first = np.ones(len(worse), bool)
        is_first[1:] = worse[1:] != worse[:-1]
        is_first[:1] = worse[0] != before
        before = worse[-1]
        chosen = (worse[is_first], better[is_first])
        yield *(column.astype(np.int64) for column in chosen), as_floats(~unlikeness[is_first])
    best.discard()


def _dropped(ordered: Sorter, documents: int) -> Bits:
    """Go through pairs from the best document on: it takes out all that are like it, unless it is out itself."""
    dropped = Bits(documents)
    held = dropped.bytes.data
    for _, better, worse, _ in ordered:
        for start in range(0, len(better), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            # Whether a document goes depends on whether those before it went: the one loop here.
            for head, follower in zip(better[part].tolist(), worse[part].tolist(), strict=True):
                if not held[head >> 3] >> (head & 7) & 1:
                    held[follower >> 3] |= 1 << (follower & 7)
    return dropped
