"""Pieces of a few documents, as they come from being measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from textus.corpus.steps.measure import TABLE
from textus.corpus.steps.table import Measured

Rows = list[tuple[int, int, str, int]]
"""The two halves of a digest, a source, and a size in bytes, of each document."""


@pytest.fixture(scope="session")
def pieces_of() -> Callable[[Path, list[Rows]], tuple[Measured, ...]]:
    """Return a function that writes the tables of pieces, the first of which was given to measure on."""
    return written


def written(folder: Path, pieces: list[Rows]) -> tuple[Measured, ...]:
    """Write the tables of pieces, the first of which was given to measure on."""
    found: list[Measured] = []
    start = 0
    for number, rows in enumerate(pieces):
        place = folder / f"piece{number}"
        place.mkdir()
        digests, rests, groups, sizes = ([row[side] for row in rows] for side in range(4))
        columns = {
            "group": pa.array(groups).dictionary_encode(),
            "digest": pa.array(digests, pa.uint64()),
            "digest_rest": pa.array(rests, pa.uint64()),
            "bytes": pa.array(sizes, pa.int64()),
        }
        pa.parquet.write_table(pa.table(columns), place / TABLE)
        found.append(Measured(place, number == 0, start, start + len(rows), sum(sizes)))
        start += len(rows)
    return tuple(found)
