"""From signatures to pairs worth comparing: sort, group, pair.

Each band is taken by itself, and in ranges of its keys where it does not fit into memory: equal keys are in one range,
so the pairs of all ranges together are those of the band.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Hashes, Index
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.duplicates.minhash import NO_KEY
from textus.errors import CorpusError

Pairs = NDArray[np.int64]
"""Rows of two document numbers, the lower first; sorted, each once."""
MOST_DOCUMENTS = 1 << 32
_BYTES_PER_KEY = 80
"""Measured: 65 while keys are sorted, keys and documents themselves included, 76 where a fifth of them form pairs."""
_LOW = np.uint64(MOST_DOCUMENTS - 1)


def num_ranges(documents: int, memory_bytes: int) -> int:
    """Return into how many ranges the keys of a band are cut so that one is paired within so much memory.

    Pairs come on top: at most `hubs` x 16 bytes a document, and in practice a few.

    >>> num_ranges(1_000_000, 2_000_000_000), num_ranges(100_000_000, 2_000_000_000)
    (1, 6)
    """
    # Hashed keys fill ranges evenly, but copies of one document crowd into one: three quarters are planned with.
    return max(1, -(-documents * _BYTES_PER_KEY * 4 // (3 * memory_bytes)))


def range_of(keys: Hashes, ranges: int) -> Index:
    """Return the range that each key belongs to: the key space cut into equal parts, in order."""
    return ((keys >> np.uint64(32)) * np.uint64(ranges) >> np.uint64(32)).astype(np.int64)


def candidate_pairs(keys: Hashes, documents: Index, config: DuplicatesConfig) -> Pairs:
    """Pair documents of equal key in one band; `NO_KEY` pairs with nothing.

    Up to `config.all_pairs` documents of a key are paired each with each. Of more, each is paired with
    `config.hubs` of them, spread evenly from the lowest document on, and with the next document: the number of
    pairs is linear, and two members that are alike are still joined through a hub that is like both.

    >>> candidate_pairs(np.array([7, 9, 7, 7], np.uint64), np.array([4, 5, 0, 8]), DuplicatesConfig()).tolist()
    [[0, 4], [0, 8], [4, 8]]
    """
    documents = documents.astype(np.int64)
    if len(documents) and int(documents.max()) >= MOST_DOCUMENTS:
        raise CorpusError(
            f"{int(documents.max()) + 1} documents are more than near-duplicates can be looked for in",
            hint="prepare the corpus in parts of up to 4 billion documents",
        )
    known = keys != NO_KEY
    order = np.lexsort((documents[known], keys[known]))
    keys, documents = keys[known][order], documents[known][order]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.zeros(0, np.int64)
    sizes = np.diff(np.append(starts, len(keys)))
    small = (sizes > 1) & (sizes <= config.all_pairs)
    large = sizes > config.all_pairs
    found = [_each_with_each(documents, starts[small], sizes[small])]
    found += [
        _with_hubs(documents[start : start + size], config.hubs)
        for start, size in zip(starts[large], sizes[large], strict=True)
    ]
    return merged(found)


def merged(parts: Iterable[Pairs]) -> Pairs:
    """Return the pairs of all parts, each once and in order."""
    packed = [(part[:, 0].astype(np.uint64) << np.uint64(32)) | part[:, 1].astype(np.uint64) for part in parts]
    together = np.sort(np.concatenate(packed)) if packed else np.zeros(0, np.uint64)
    if len(together):
        together = together[np.concatenate(([True], together[1:] != together[:-1]))]
    return np.stack((together >> np.uint64(32), together & _LOW), axis=1).astype(np.int64)


def _each_with_each(documents: Index, starts: Index, sizes: Index) -> Pairs:
    """Pair each place of each group with those `step` places on, for every step at once over all groups."""
    found = [np.zeros((0, 2), np.int64)]
    for step in range(1, int(sizes.max(initial=1))):
        starts, sizes = starts[sizes > step], sizes[sizes > step]
        numbers = sizes - step
        within = np.arange(numbers.sum()) - np.repeat(np.cumsum(numbers) - numbers, numbers)
        first = np.repeat(starts, numbers) + within
        found.append(np.stack((documents[first], documents[first + step]), axis=1))
    return _different(np.concatenate(found))


def _with_hubs(documents: Index, hubs: int) -> Pairs:
    places = np.unique(np.linspace(0, len(documents) - 1, min(hubs, len(documents)) + 1)[:-1].astype(np.int64))
    found = [np.stack((documents[:-1], documents[1:]), axis=1)]
    found += [np.stack((np.full(len(documents), documents[place]), documents), axis=1) for place in places]
    return _different(np.concatenate(found))


def _different(pairs: Pairs) -> Pairs:
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return np.sort(pairs, axis=1)
