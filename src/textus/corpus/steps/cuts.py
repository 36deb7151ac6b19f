"""Runs of words that are to be taken out of documents, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CUTS = "cuts.npy"
Rows = NDArray[np.int64]
"""A row a run: the document's number, its first word, and the word behind its last."""


def save_cuts(place: Path, rows: Iterable[tuple[int, int, int]]) -> int:
    """Write runs in the order of documents; return how many there are."""
    found = np.array(sorted(rows), np.int64).reshape(-1, 3)
    np.save(place / CUTS, found)
    return len(found)


def read_cuts(places: Sequence[Path], start: int, stop: int) -> dict[int, list[tuple[int, int]]]:
    """Read the runs of the documents from `start` to `stop`, joined where they touch."""
    found: dict[int, list[tuple[int, int]]] = {}
    parts = [np.zeros((0, 3), np.int64)]
    for place in places:
        rows: Rows = np.load(place / CUTS, mmap_mode="r")
        first, last = np.searchsorted(rows[:, 0], [start, stop])
        parts.append(np.asarray(rows[first:last]))
    for document, first_word, end in sorted(map(tuple, np.concatenate(parts).tolist())):
        own = found.setdefault(document, [])
        if own and first_word <= own[-1][1]:
            own[-1] = (own[-1][0], max(own[-1][1], end))
        else:
            own.append((first_word, end))
    return found
