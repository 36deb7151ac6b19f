"""Decide which documents repeat others, and which belong together, from verified pairs.

A document is dropped for a document that is kept and that it was itself compared with, never for the neighbour of a
neighbour: chains of likeness would otherwise drop whole sources (marin#6854).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Hashes, Index
from textus.corpus.duplicates.candidates import Pairs
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.duplicates.verify import Overlaps


@dataclass(frozen=True)
class Repeats:
    """The documents to drop, each with the kept one that it repeats."""

    documents: Index
    matches: Index
    """The kept document that each is most like, of those that come before it."""
    rows: Index
    """Which of the pairs says so: its scores are those of this row."""


def preference(priorities: Index, lengths: Index) -> Index:
    """Return each document's place in the order of keeping: lower priority number, then longer, then earlier.

    >>> preference(np.array([1, 0, 1]), np.array([9, 3, 9])).tolist()
    [1, 0, 2]
    """
    places = np.empty(len(lengths), np.int64)
    places[np.lexsort((-lengths, priorities))] = np.arange(len(lengths))
    return places


def repeats(pairs: Pairs, overlaps: Overlaps, places: Index, config: DuplicatesConfig) -> Repeats:
    """Return what to drop of documents whose places in the order of keeping are `places`.

    A pair counts from `config.threshold` of Jaccard on; then the later document may go. It also counts where
    `config.containment` of the smaller stands in the larger; then the smaller may go, unless it comes first: a
    document of a preferred source is never dropped for one of another.
    """
    ahead = places[pairs[:, 0]] < places[pairs[:, 1]]
    better, worse = np.where(ahead, pairs.T, pairs.T[::-1])
    counts = overlaps.jaccard >= config.threshold
    if config.containment > 0:
        better_sizes = np.where(ahead, overlaps.first, overlaps.second)
        counts |= (overlaps.containment >= config.containment) & (2 * better_sizes >= overlaps.first + overlaps.second)
    rows = np.flatnonzero(counts)
    return _greedy(better[rows], worse[rows], overlaps.jaccard[rows], places, rows)


def repeats_of(pairs: Pairs, scores: NDArray[np.float64], places: Index) -> Repeats:
    """Go through documents in the order of `places`, keep each that repeats none kept so far, drop the others.

    All of `pairs` count. No two kept documents are a pair, and each dropped one is in a pair with a kept one.

    >>> chain = np.array([[0, 1], [1, 2]])
    >>> found = repeats_of(chain, np.array([0.9, 0.8]), np.arange(3))
    >>> found.documents.tolist(), found.matches.tolist()
    ([1], [0])
    """
    ahead = places[pairs[:, 0]] < places[pairs[:, 1]]
    better, worse = np.where(ahead, pairs.T, pairs.T[::-1])
    return _greedy(better, worse, scores, places, np.arange(len(pairs)))


def _greedy(better: Index, worse: Index, scores: NDArray[np.float64], places: Index, rows: Index) -> Repeats:
    heads, numbers = np.unique(places[better], return_counts=True)
    order = np.argsort(places[better], kind="stable")
    followers, ends = worse[order], np.cumsum(numbers)
    heads = better[order][ends - numbers]
    is_dropped = np.zeros(len(places), bool)
    # Whether a document goes depends on whether those before it went: the one loop here, over heads of pairs.
    for head, start, end in zip(heads.tolist(), (ends - numbers).tolist(), ends.tolist(), strict=True):
        if not is_dropped[head]:
            is_dropped[followers[start:end]] = True
    reasons = np.flatnonzero(is_dropped[worse] & ~is_dropped[better])
    best = reasons[np.lexsort((places[better[reasons]], -scores[reasons], worse[reasons]))]
    documents, first = np.unique(worse[best], return_index=True)
    return Repeats(documents, better[best[first]], rows[best[first]])


def components(pairs: Pairs, documents: int) -> Index:
    """Return for each document the lowest number among all that pairs join it with, itself included.

    >>> components(np.array([[3, 4], [1, 3]]), 6).tolist()
    [0, 1, 2, 1, 1, 5]
    """
    lowest = np.arange(documents)
    first, second = pairs[:, 0], pairs[:, 1]
    while len(first):
        # Hang the higher root of each pair below the lower one, then let everything point to its root.
        first, second = lowest[first], lowest[second]
        np.minimum.at(lowest, np.maximum(first, second), np.minimum(first, second))
        while (further := lowest[lowest] != lowest).any():
            lowest[further] = lowest[lowest[further]]
        apart = lowest[first] != lowest[second]
        first, second = first[apart], second[apart]
    return lowest


@dataclass(frozen=True)
class Clusters:
    """Documents that belong together in a split."""

    keys: Hashes
    """Rows of two numbers: the least content key in each document's cluster, whatever the order of documents."""
    labels: Index
    """The lowest number of a document in each document's cluster."""
    oversized: NDArray[np.bool_]
    """Which documents are of a cluster so large that it is trained on whole."""

    @property
    def count(self) -> int:
        """Return how many clusters of two documents or more there are."""
        return int((np.unique(self.labels, return_counts=True)[1] > 1).sum())


def clusters(pairs: Pairs, keys: Hashes, sizes: Index, config: DuplicatesConfig) -> Clusters:
    """Join documents that pairs (those from `config.related` on) connect, and those of equal content key.

    `keys` are rows of two numbers that name contents, `sizes` bytes. Chains can join a large part of a corpus that is
    made from templates. Such a cluster would leave little choice of what to hold out, and cutting it would leak: above
    `config.largest_cluster` of all bytes it is marked `oversized`, and `by_document` leaves it in training whole.
    """
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    equal = (keys[order][1:] == keys[order][:-1]).all(axis=1)
    copies = np.stack((order[:-1][equal], order[1:][equal]), axis=1)
    labels = components(np.concatenate((pairs, copies)), len(keys))
    members = order[np.argsort(labels[order], kind="stable")]
    _, starts, inverse = np.unique(labels[members], return_index=True, return_inverse=True)
    together = np.empty_like(labels)
    together[members] = inverse
    totals = np.bincount(together, weights=sizes, minlength=len(starts)) if len(sizes) else np.zeros(0)
    # A document that is large by itself is no cluster: the split deals with it as it always did.
    is_large = (totals > config.largest_cluster * sizes.sum()) & (np.bincount(together, minlength=len(starts)) > 1)
    return Clusters(keys[members[starts]][together], labels, is_large[together])
