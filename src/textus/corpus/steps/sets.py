"""Sets of runs of words on disk: one array of numbers, and where each document's begin; opened without being read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from textus.corpus.batch import Index, TextBatch
from textus.corpus.duplicates.verify import Shingles, shingle_sets

_OFFSETS, _SHINGLES = "offsets.npy", "shingles.npy"


def write_sets(place: Path, batches: Iterable[TextBatch], words: int) -> None:
    """Write the sorted set of each text, one behind the other."""
    sizes = [np.zeros(1, np.int64)]
    with (place / _SHINGLES).open("wb") as file:
        for batch in batches:
            hashes, offsets = shingle_sets(batch, words)
            file.write(hashes.data)  # `tofile` says nothing of a full disk
            sizes.append(np.diff(offsets))
    np.save(place / _OFFSETS, np.cumsum(np.concatenate(sizes)))


def open_sets(place: Path) -> tuple[Shingles, Index]:
    """Return what `write_sets` wrote: the sets, mapped into memory, and the offset of each text's first run."""
    offsets = read_offsets(place)
    return np.memmap(place / _SHINGLES, np.uint32, "r") if offsets[-1] else np.zeros(0, np.uint32), offsets


def read_offsets(place: Path) -> Index:
    """Return the offsets alone, from which the sizes follow."""
    found: Index = np.load(place / _OFFSETS)
    return found
