"""Bring together the documents that belong in one split: near duplicates, directly or through others, and copies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Hashes, Index
from textus.corpus.duplicates.linked import linked
from textus.corpus.sorting import Cursor, Rows, Sorter, starts_of
from textus.corpus.steps.table import Measured

_LOW, _HIGH = np.uint64(2**32 - 1), np.uint64(32)


@dataclass(frozen=True)
class Grouped:
    """Which cluster the documents of a piece are of."""

    labels: Index
    """The lowest number of a document in each document's cluster."""
    keys: Hashes
    """`[2, documents]`: the least content key in it, whatever the order of documents."""
    oversized: NDArray[np.bool_]
    """Which are of a cluster so large that it is trained on whole."""


@dataclass(frozen=True)
class Clusters:
    """The clusters of two documents or more; every other document is one by itself."""

    rows: Sorter
    """The number of each member, its cluster's, and its cluster's key; in the order of members."""
    oversized: NDArray[np.uint64]
    count: int
    largest: int
    """How many documents the largest holds."""

    def of(self, piece: Measured, rows: Iterable[Rows]) -> Grouped:
        """Return the clusters of a piece's documents, whose rows are given."""
        columns = piece.columns(("digest", "digest_rest"))
        labels = np.arange(piece.start, piece.stop)
        keys = np.stack((columns["digest"], columns["digest_rest"]))
        oversized = np.zeros(len(labels), bool)
        for members, own, *least in rows:
            at = members.astype(np.int64) - piece.start
            labels[at], keys[:, at], oversized[at] = own.astype(np.int64), least, np.isin(own, self.oversized)
        return Grouped(labels, keys, oversized)


def find_clusters(
    pairs: Iterable[tuple[Index, Index]], pieces: Sequence[Measured], largest: float, folder: Path, memory_bytes: int
) -> Clusters:
    """Join documents that pairs connect.

    Chains can join a large part of a corpus that is made from templates. Such a cluster would leave little choice of
    what to hold out, and cutting it would leak: one of more than the share `largest` of all bytes is `oversized`.
    """
    share = memory_bytes // 4
    edges = linked(pairs, folder, memory_bytes)
    members = Sorter(folder, columns=2, keys=1, memory_bytes=share)
    roots = Sorter(folder, columns=1, keys=1, memory_bytes=share)
    for (packed,) in edges:
        members.append(packed >> _HIGH, packed & _LOW)
        roots.append(np.unique(packed & _LOW))
    edges.discard()
    before = None
    for block in roots:
        own = block[0][starts_of(block, before)]
        members.append(own, own)
        before = (int(block[0, -1]),)
    roots.discard()
    return _with_keys(members, pieces, largest, folder, share)


def _with_keys(
    members: Sorter, pieces: Sequence[Measured], largest: float, folder: Path, memory_bytes: int
) -> Clusters:
    """Give each member the least content key of its cluster, and find the clusters that are too large."""
    together = Sorter(folder, columns=5, keys=3, memory_bytes=memory_bytes)
    cursor, total = Cursor(members), 0
    for piece in pieces:
        columns = piece.columns(("digest", "digest_rest", "bytes"))
        total += int(columns["bytes"].sum())
        for own, labels in cursor.up_to(piece.stop):
            at = own.astype(np.int64) - piece.start
            keys = (columns["digest"][at], columns["digest_rest"][at])
            together.append(labels, *keys, columns["bytes"][at], own)
    members.discard()
    rows = Sorter(folder, columns=4, keys=1, memory_bytes=memory_bytes)
    sizes, oversized, before = _Sizes(), [np.zeros(0, np.uint64)], None
    key = np.zeros((2, 1), np.uint64)
    for block in together:
        labels, num_bytes, own = block[0], block[3], block[4]
        is_new = starts_of(block[:1], before)
        key = np.concatenate((key[:, -1:], block[1:3, is_new]), axis=1)[:, np.cumsum(is_new)]
        rows.append(own, labels, *key)
        oversized.append(sizes.ended(labels, num_bytes, is_new, largest * total))
        before = (int(labels[-1]),)
    nothing = np.zeros(0, np.uint64)
    oversized.append(sizes.ended(nothing, nothing, np.zeros(0, bool), largest * total))
    together.discard()
    return Clusters(rows, np.concatenate(oversized), sizes.count, max(1, sizes.largest))


class _Sizes:
    """Add up the bytes and documents of clusters whose members come one after the other."""

    def __init__(self) -> None:
        self.count = self.largest = 0
        self._open: tuple[int, int, int] | None = None
        """The cluster that may go on: its label, bytes and documents."""

    def ended(self, labels: Rows, num_bytes: Rows, is_new: NDArray[np.bool_], most: float) -> Rows:
        """Take members; return, of the clusters that have ended, those of more than `most` bytes. None end the last."""
        starts = np.flatnonzero(is_new)
        names, sizes, counts = labels[starts], np.zeros(0, np.int64), np.diff([*starts, len(labels)])
        if len(starts):
            sizes = np.add.reduceat(num_bytes.astype(np.int64), starts)
        if self._open is not None:
            label, size, documents = self._open
            head = int(starts[0]) if len(starts) else len(labels)
            size, documents = size + int(num_bytes[:head].sum()), documents + head
            names = np.concatenate((np.array([label], np.uint64), names))
            sizes, counts = np.concatenate(([size], sizes)), np.concatenate(([documents], counts))
        if len(labels):
            self._open = int(names[-1]), int(sizes[-1]), int(counts[-1])
            names, sizes, counts = names[:-1], sizes[:-1], counts[:-1]
        self.count += len(names)
        self.largest = max(self.largest, int(counts.max(initial=0)))
        return names[sizes > most]
