"""The measures of the documents, a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
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

    def parts(self) -> Iterator[tuple[slice, dict[str, NDArray[Any]]]]:
        """Yield all columns some thousand rows at a time, and which rows of the piece these are."""
        start = 0
        with pa.parquet.ParquetFile(self.place / TABLE, pre_buffer=False) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, use_threads=False)
                yield slice(start, start + len(table)), {name: array(table.column(name)) for name in table.column_names}
                start += len(table)


def number_pieces(counts: Iterator[tuple[Path, bool, int, int]]) -> list[Measured]:
    """Give the documents of pieces numbers, in order; leave out pieces without documents."""
    found: list[Measured] = []
    start = 0
    for place, held_out, count, num_bytes in counts:
        if count:
            found.append(Measured(place, held_out, start, start + count, num_bytes))
            start += count
    return found
