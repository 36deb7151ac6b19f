"""Runs of words that are to be taken out of documents, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textus.corpus.flat import write_flat, write_header
from textus.corpus.sorting import Sorter

CUTS = "cuts.npy"
Rows = NDArray[np.int64]
"""A row a run: the document's number, its first word, and the word behind its last."""


def save_cuts(place: Path, rows: Iterable[tuple[int, int, int]]) -> int:
    """Write runs in the order of documents; return how many there are."""
    found = np.array(sorted(rows), np.int64).reshape(-1, 3)
    np.save(place / CUTS, found)
    return len(found)


def save_sorted(place: Path, rows: Sorter) -> None:
    """Write runs that come in the order of documents."""
    with (place / CUTS).open("wb") as file:
        write_header(file, (len(rows), 3), np.int64)
        for block in rows:
            write_flat(file, block.T.astype(np.int64))


@dataclass(frozen=True)
class Cuts:
    """Where it is told which runs are to go, and what is to stand in their place."""

    place: Path
    mark: str = ""
    """Empty: nothing."""


def read_cuts(cuts: Sequence[Cuts], start: int, stop: int) -> dict[int, list[tuple[int, int, str]]]:
    """Read the runs of the documents from `start` to `stop`, each with its mark.

    Those that touch are joined, and marked where one of them is.
    """
    rows: list[tuple[int, int, int, str]] = []
    for one in cuts:
        all_rows: Rows = np.load(one.place / CUTS, mmap_mode="r")
        first, last = np.searchsorted(all_rows[:, 0], [start, stop])
        rows += [(document, word, end, one.mark) for document, word, end in all_rows[first:last].tolist()]
    found: dict[int, list[tuple[int, int, str]]] = {}
    for document, first_word, end, mark in sorted(rows):
        own = found.setdefault(document, [])
        if own and first_word <= own[-1][1]:
            begun, ended, before = own[-1]
            own[-1] = (begun, max(ended, end), before or mark)
        else:
            own.append((first_word, end, mark))
    return found
