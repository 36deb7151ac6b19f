"""The measures of all documents, gathered from the pieces: a few columns whole, the others a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.arrow import array, read_table
from textus.corpus.steps.measure import TABLE


@dataclass(frozen=True)
class Measured:
    """The result of `measure` on one piece that holds documents."""

    place: Path
    held_out: bool
    start: int
    """The number of its first document among all."""
    stop: int
    num_bytes: int
    """The size of its texts."""

    def columns(self, names: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
        """Read columns of the piece's table, all of them unless some are named."""
        table = read_table(self.place / TABLE, names)
        return {name: array(table.column(name)) for name in table.column_names}


@dataclass(frozen=True)
class Whole:
    """What must be known of all documents at once: 56 bytes of each."""

    pieces: tuple[Measured, ...]
    digests: NDArray[np.uint64]
    """`[documents, 2]`: equal rows, equal texts."""
    num_bytes: NDArray[np.int64]
    held_out: NDArray[np.bool_]
    groups: NDArray[np.int32]
    """The part of the input that each belongs to, by its number in `group_names`."""
    group_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.num_bytes)

    @property
    def offsets(self) -> list[int]:
        """Return the number of each piece's first document, and of all at the end."""
        return [0, *(piece.stop for piece in self.pieces)]


def gather(pieces: Sequence[Measured]) -> Whole:
    """Read what must be known of all documents at once."""
    count = pieces[-1].stop if pieces else 0
    digests, num_bytes = np.zeros((count, 2), np.uint64), np.zeros(count, np.int64)
    held_out, groups = np.zeros(count, bool), np.zeros(count, np.int32)
    names: dict[str, int] = {}
    for piece in pieces:
        part = slice(piece.start, piece.stop)
        columns = piece.columns(("digest", "digest_rest", "bytes", "group"))
        digests[part, 0], digests[part, 1] = columns["digest"], columns["digest_rest"]
        num_bytes[part], held_out[part] = columns["bytes"], piece.held_out
        found, inverse = np.unique(columns["group"].astype(str), return_inverse=True)
        numbers = [names.setdefault(str(name), len(names)) for name in found]
        groups[part] = np.array(numbers, np.int32)[inverse]
    return Whole(tuple(pieces), digests, num_bytes, held_out, groups, tuple(names))


def number_pieces(counts: Iterator[tuple[Path, bool, int, int]]) -> list[Measured]:
    """Give the documents of pieces numbers, in order; leave out pieces without documents."""
    found: list[Measured] = []
    start = 0
    for place, held_out, count, num_bytes in counts:
        if count:
            found.append(Measured(place, held_out, start, start + count, num_bytes))
            start += count
    return found
