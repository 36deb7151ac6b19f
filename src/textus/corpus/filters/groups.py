"""Which pieces of a text are there more than once, for many texts at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Hashes, Index, mixed


@dataclass(frozen=True)
class Repeats:
    """Groups of two and more equal pieces of one text; the order of the groups means nothing."""

    order: Index
    """The pieces, those of a group next to each other, in order."""
    starts: Index
    """Where in `order` each group starts."""
    counts: Index
    """How many pieces each has."""

    @property
    def first(self) -> Index:
        """Return one piece of each group."""
        return self.order[self.starts]


def salts(counts: Index) -> Hashes:
    """Return a number for each piece that those of one text share: hash ^ salt tells text and hash apart at once."""
    return np.repeat(mixed(np.arange(len(counts), dtype=np.uint64)), counts)


def crowded(keys: Hashes) -> NDArray[np.bool_]:
    """Tell which keys share a bucket of their last bits with another: all that are equal, and few that are not."""
    buckets = (keys & np.uint64((1 << (2 * len(keys)).bit_length()) - 1)).astype(np.int64)
    found: NDArray[np.bool_] = np.bincount(buckets)[buckets] > 1
    return found


def repeats(keys: Hashes) -> Repeats:
    """Bring together the pieces with equal keys, and leave out those that are alone."""
    several = np.flatnonzero(crowded(keys))  # spares most of them the sort
    keys = keys[several]
    order = _order(keys)
    keys = keys[order]
    edges = np.flatnonzero(np.diff(keys, prepend=~keys[:1], append=~keys[-1:]))
    counts = np.diff(edges)
    kept = counts > 1
    order = several[order][np.repeat(kept, counts)]
    counts = counts[kept]
    return Repeats(order, np.cumsum(counts) - counts, counts)


def _order(keys: Hashes) -> Index:
    """Return an order that brings equal keys together, earlier pieces first."""
    # Sorting numbers takes a third of sorting places by them: each place goes into the low bits of its key.
    low = np.uint64((1 << len(keys).bit_length()) - 1)
    packed = np.sort((keys & ~low) | np.arange(len(keys), dtype=np.uint64))
    order = (packed & low).astype(np.int64)
    keys = keys[order]
    is_mixed = (packed[1:] ^ packed[:-1] <= low) & (keys[1:] != keys[:-1])  # as good as never
    return order[np.lexsort((order, keys))] if is_mixed.any() else order
