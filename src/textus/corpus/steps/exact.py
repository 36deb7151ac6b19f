"""Which documents have the same text, which of them stands for all, and in what order documents are preferred."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index
from textus.corpus.flat import Flat, write_flat, write_header
from textus.corpus.sorting import Cursor, Rows, Sorter, starts_of
from textus.corpus.steps.table import Measured
from textus.errors import ConfigError

VERSION = 2
"""Raised whenever the files of this step change."""
FIRST = "first.npy"
"""Of each document, whether it stands for its exact duplicates, itself among them."""
_COPIES, _STANDING = "copies.u64", "standing.u64"
_SIZE_BITS = np.uint64(48)
_LARGEST = np.uint64(2**48 - 1)
_READ = 1 << 16


@dataclass(frozen=True)
class Marking:
    """The documents of which copies are looked for."""

    pieces: tuple[Measured, ...]
    priority: tuple[str, ...]
    """Groups of sources by which documents are kept, the first first."""
    memory_bytes: int


def mark_first(place: Path, payload: Marking) -> Mapping[str, Any]:
    """Write which documents stand for all of their text, the others with those, and the standing of each.

    For a text stands its first document of the best rank: those to measure on come first, then the groups of sources
    that `priority` names, in its order, then all others.
    """
    pieces, memory = payload.pieces, payload.memory_bytes // 2
    with TemporaryDirectory(dir=place) as folder:
        texts = Sorter(Path(folder), columns=4, keys=4, memory_bytes=memory)
        with (place / _STANDING).open("wb") as file:
            for piece, columns, ranks in _ranked(pieces, payload.priority):
                texts.append(columns["digest"], columns["digest_rest"], ranks, np.arange(piece.start, piece.stop))
                write_flat(file, (ranks << _SIZE_BITS) | (_LARGEST - columns["bytes"].astype(np.uint64)))
        copies = Sorter(Path(folder), columns=2, keys=1, memory_bytes=memory)
        for numbers, first in _with_first(texts):
            is_copy = numbers != first
            copies.append(numbers[is_copy], first[is_copy])
        texts.discard()
        with (place / _COPIES).open("wb") as file:
            for block in copies:
                write_flat(file, block.T)
        cursor = Cursor(copies)
        with (place / FIRST).open("wb") as file:
            write_header(file, (pieces[-1].stop,), bool)
            for piece in pieces:
                is_first = np.ones(piece.stop - piece.start, bool)
                for rows in cursor.up_to(piece.stop):
                    is_first[rows[0].astype(np.int64) - piece.start] = False
                write_flat(file, is_first)
        return {"copies": len(copies)}


def standing(place: Path) -> Flat:
    """Return a number of each document by which it is preferred: the lower, then the earlier, of two stays.

    It is made of the rank, as above, and the size: of two of one rank the longer stays.
    """
    return Flat(place / _STANDING, np.uint64)


def copies(place: Path) -> Iterator[tuple[Index, Index]]:
    """Yield the documents that do not stand for their text, in order, and those that do in their place."""
    file, start = Flat(place / _COPIES, np.int64), 0
    while len(rows := file.part(start, start + 2 * _READ).reshape(-1, 2)):
        yield rows[:, 0], rows[:, 1]
        start += rows.size


def _ranked(
    pieces: Sequence[Measured], priority: Sequence[str]
) -> Iterator[tuple[Measured, dict[str, NDArray[Any]], NDArray[np.uint64]]]:
    """Yield each piece with the columns that matter here, and the rank of its documents."""
    places = {name: 1 + number for number, name in enumerate(priority)}
    known: set[str] = set()
    for piece in pieces:
        columns = piece.columns(("digest", "digest_rest", "bytes", "group"))
        names, inverse = np.unique(columns["group"].astype(str), return_inverse=True)
        known.update(names.tolist())
        of_name = [0 if piece.held_out else places.get(name, 1 + len(priority)) for name in names.tolist()]
        yield piece, columns, np.array(of_name, np.uint64)[inverse]
    for name in priority:
        if name not in known:
            raise ConfigError(
                f"corpus.priority: no documents of `{name}`",
                hint=f"the groups of this input are {', '.join(sorted(known)[:20])}",
            )


def _with_first(texts: Sorter) -> Iterator[tuple[Rows, Rows]]:
    """Yield documents in the order of their text, each with the first of the same one."""
    before: tuple[int, ...] | None = None
    first = np.zeros(1, np.uint64)
    for block in texts:
        numbers = block[3]
        is_new = starts_of(block[:2], before)
        first = np.concatenate((first[-1:], numbers[is_new]))[np.cumsum(is_new)]
        yield numbers, first
        before = tuple(block[:2, -1].tolist())
