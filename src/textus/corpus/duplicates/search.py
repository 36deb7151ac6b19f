"""The whole search in memory: from texts to verified pairs, for collections of up to some hundred megabytes.

The corpus stage does the same with files between the steps, so that memory does not grow with the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from textus.corpus.batch import Index, text_batches
from textus.corpus.duplicates.candidates import Pairs, candidate_pairs, merged
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.duplicates.minhash import band_keys
from textus.corpus.duplicates.verify import Overlaps, Shingles, overlaps, shingle_sets


def verified_pairs(texts: Iterable[str], config: DuplicatesConfig) -> tuple[Pairs, Overlaps]:
    """Return every candidate pair with what it has in common; `clusters.repeats` applies the thresholds.

    >>> pairs, found = verified_pairs(["to be or not to be that is", "x", "to be or not to be that is"],
    ...                               DuplicatesConfig())
    >>> pairs.tolist(), found.jaccard.tolist()
    ([[0, 2]], [1.0])
    """
    keys, sets = [np.zeros((0, config.bands), np.uint64)], []
    for batch in text_batches(texts):
        keys.append(band_keys(batch, config))
        sets.append(shingle_sets(batch, config.words))
    table = np.concatenate(keys)
    numbers = np.arange(len(table))
    pairs = merged(candidate_pairs(column, numbers, config) for column in table.T)
    return pairs, overlaps(pairs, *joined(sets))


def joined(parts: Iterable[tuple[Shingles, Index]]) -> tuple[Shingles, Index]:
    """Put sets of runs behind one another."""
    shingles, sizes = [np.zeros(0, np.uint32)], [np.zeros(1, np.int64)]
    for part, offsets in parts:
        shingles.append(part)
        sizes.append(np.diff(offsets))
    return np.concatenate(shingles), np.cumsum(np.concatenate(sizes))
