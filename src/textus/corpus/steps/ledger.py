"""Who is still in, and why the others are not: one line a document, in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from textus.corpus.arrow import array, column, numbered
from textus.corpus.split import SPLITS, Split

KEPT = ""
"""The reason of a document that stays."""
_SCHEMA = pa.schema(
    [
        ("reason", pa.dictionary(pa.int32(), pa.string())),
        ("note", pa.dictionary(pa.int32(), pa.string())),
        ("split", pa.dictionary(pa.int32(), pa.string())),
        ("match", pa.int64()),
        ("score", pa.float32()),
        ("cluster", pa.int64()),
    ]
)


class Ledger:
    """Record what is decided on each of `count` documents; the first reason to drop one stands.

    >>> ledger = Ledger(3)
    >>> ledger.drop(np.array([False, True, True]), "too short")
    >>> ledger.drop(np.array([True, True, False]), "duplicate", match=np.array([2, 2, 2]), score=1.0)
    >>> [ledger.names[number] for number in ledger.reason]
    ['duplicate', 'too short', 'too short']
    >>> ledger.match.tolist()
    [2, -1, -1]
    """

    def __init__(self, count: int) -> None:
        self.names: list[str] = [KEPT]
        """Reasons by number."""
        self.reason = np.zeros(count, np.int32)
        self.notes: list[str] = [""]
        """What more there is to say of a decision, by number."""
        self.note = np.zeros(count, np.int32)
        self.match = np.full(count, -1, np.int64)
        """The document that this one was dropped for, or none."""
        self.score = np.zeros(count, np.float32)
        """How alike the two are."""
        self.cluster = np.arange(count, dtype=np.int64)
        """Documents of one cluster are near duplicates, directly or through others, and share a split."""
        self.split = np.zeros(count, np.int8)

    def __len__(self) -> int:
        return len(self.reason)

    @property
    def is_kept(self) -> NDArray[np.bool_]:
        """Tell which documents are still in."""
        return np.asarray(self.reason == 0)

    def drop(
        self,
        which: NDArray[np.bool_],
        reason: str,
        *,
        match: NDArray[np.int64] | None = None,
        score: NDArray[Any] | float = 0.0,
        note: str = "",
    ) -> None:
        """Drop those documents of `which` that are still in."""
        which = which & self.is_kept
        if not which.any():
            return
        self.reason[which] = _number(self.names, reason)
        self.note[which] = _number(self.notes, note)
        if match is not None:
            self.match[which] = match[which]
            self.score[which] = score[which] if isinstance(score, np.ndarray) else score

    def drop_one(self, number: int, reason: str, note: str) -> None:
        """Drop one document, with words of its own."""
        if not self.reason[number]:
            self.reason[number], self.note[number] = _number(self.names, reason), len(self.notes)
            self.notes.append(note)

    def counts(self) -> dict[str, int]:
        """Count the dropped documents by reason, in the order in which reasons came."""
        counts = np.bincount(self.reason, minlength=len(self.names))
        return {name: int(count) for name, count in zip(self.names[1:], counts[1:], strict=True) if count}

    def save(self, path: Path, offsets: Sequence[int]) -> None:
        """Write a Parquet file with a row a document, and a row group from each offset to the next."""
        with pa.parquet.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
            for start, stop in pairwise(offsets):
                part = slice(start, stop)
                columns = [
                    numbered(self.reason[part], self.names),
                    numbered(self.note[part], self.notes),
                    numbered(self.split[part], SPLITS),
                    column(self.match[part]),
                    column(self.score[part]),
                    column(self.cluster[part]),
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA), row_group_size=max(1, stop - start))


@dataclass(frozen=True)
class Decision:
    """What was decided on one document."""

    reason: str
    """Why it was dropped; empty where it was kept."""
    note: str
    split: Split
    match: int
    """The number of the document that it was dropped for; -1 where it was not dropped for one."""
    score: float
    cluster: int


def read_choices(path: Path, group: int) -> tuple[list[str], list[Split]]:
    """Read only the reason and the split of each decision of one row group."""
    with pa.parquet.ParquetFile(path) as file:
        table = file.read_row_group(group, columns=["reason", "split"], use_threads=False)
    return array(table.column("reason")).tolist(), array(table.column("split")).tolist()


def read_decisions(path: Path, group: int) -> list[Decision]:
    """Read the decisions of one row group of a saved ledger."""
    with pa.parquet.ParquetFile(path) as file:
        if not 0 <= group < file.num_row_groups:
            return []
        table = file.read_row_group(group, use_threads=False)
    return [Decision(*row) for row in zip(*(array(table.column(name)).tolist() for name in _SCHEMA.names), strict=True)]


def _number(names: list[str], name: str) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)
