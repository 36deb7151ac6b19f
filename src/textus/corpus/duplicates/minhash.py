"""Sign documents so that like ones share a signature: MinHash (Broder 1997) in bands (Indyk and Motwani 1998).

Under a random order of all five-word runs, two documents have the same first one with a probability that is their
Jaccard index s. A band holds `rows` such minima; of `bands` bands at least one agrees with probability 1 - (1 - s^r)^b.
Runs are hashed to 64 bits already, so an order is a multiplication by an odd number and an addition modulo 2^32: a
bijection of numbers that are random to begin with, which keeps each probability exact.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Hashes, Index, TextBatch, mixed
from textus.corpus.duplicates.config import DuplicatesConfig

NO_KEY = np.uint64(2**64 - 1)
"""The key of a text without a word: it is like no other."""
_HIGH, _LARGEST = np.uint64(32), np.uint32(2**32 - 1)


def band_keys(batch: TextBatch, config: DuplicatesConfig) -> Hashes:
    """Return the signatures `[texts, bands]` of each text; they depend on the text and the settings alone.

    A text of fewer words than `config.words` has one run, of all its words: it matches texts of the same words only.

    >>> batch = TextBatch(["Who is there? Nay, answer me!", "Elsewhere.", "who is there; nay answer me", "..."])
    >>> keys = band_keys(batch, DuplicatesConfig(bands=2))
    >>> bool((keys[0] == keys[2]).all()), bool((keys[0] == keys[1]).any()), bool((keys[3] == NO_KEY).all())
    (True, False, True)
    """
    hashes, offsets = batch.ngrams(config.words)
    return keys_of(hashes, offsets, config)


def keys_of(hashes: Hashes, offsets: Index, config: DuplicatesConfig) -> Hashes:
    """Return the signatures of texts whose runs are hashed already; text `i` owns those from `offsets[i]`."""
    if len(offsets) == 1:
        return np.zeros((0, config.bands), np.uint64)
    factors, shifts = _permutations(config.seed, config.bands * config.rows)
    # One number behind the last run lets a last text without runs point somewhere; it never is the least of others.
    runs = np.zeros(len(hashes) + 1, np.uint32)
    runs[:-1] = hashes >> _HIGH
    ordered = np.empty_like(runs)
    least = np.empty((len(factors), len(offsets) - 1), np.uint32)
    for minima, factor, shift in zip(least, factors, shifts, strict=True):
        np.multiply(runs, factor, out=ordered)
        np.add(ordered, shift, out=ordered)
        ordered[-1] = _LARGEST
        np.minimum.reduceat(ordered, offsets[:-1], out=minima)
    keys = np.repeat(np.arange(config.bands, dtype=np.uint64)[:, None], len(offsets) - 1, axis=1)
    for row in range(config.rows):
        keys = mixed(keys ^ least[row :: config.rows])
    keys = np.minimum(keys, NO_KEY - np.uint64(1))
    keys[:, np.diff(offsets) == 0] = NO_KEY
    return np.ascontiguousarray(keys.T)


@cache
def _permutations(seed: int, number: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return odd factors and shifts: of splitmix64 rather than a generator of numpy's, whose stream may change."""
    counters = np.arange(1, 2 * number + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    values = (mixed(counters + mixed(np.array([seed % 2**64], np.uint64))) >> _HIGH).astype(np.uint32)
    return values[:number] | np.uint32(1), values[number:]
