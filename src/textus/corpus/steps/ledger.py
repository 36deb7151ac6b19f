"""Who is still in, and why the others are not: a bit a document in memory, a line on disk."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from textus.corpus.arrow import array, column, numbered
from textus.corpus.batch import Index
from textus.corpus.bits import Bits
from textus.corpus.flat import Flat, write_flat
from textus.corpus.sorting import Cursor, Sorter
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


NO_DOCUMENT = -1


@dataclass(frozen=True)
class Decided:
    """What was decided on some documents, a number for each."""

    reason: NDArray[np.int32]
    """By its place among the ledger's names."""
    note: NDArray[np.int32]
    notes: list[str]
    """What more there is to say of a decision, by `note`."""
    match: NDArray[np.int64]
    """The document that each was dropped for, or none."""
    score: NDArray[np.float32]
    """How alike the two are."""


class Ledger:
    """Record what is decided on each of `count` documents; the first reason to drop one stands.

    All that is held of every document is one bit; the rest lies in files of `folder`.
    """

    def __init__(self, count: int, folder: Path, memory_bytes: int) -> None:
        self.kept = Bits(count)
        """Who is still in."""
        self.names: list[str] = [KEPT]
        """Reasons by number."""
        self._count, self._counts = count, Counter[int]()
        self._judged, self._path = 0, folder / "judged.i32"
        self._drops = Sorter(folder, columns=4, keys=1, memory_bytes=memory_bytes)
        self._words: dict[int, str] = {}

    def __len__(self) -> int:
        return self._count

    def number(self, reason: str) -> int:
        """Return the number of a reason."""
        if reason not in self.names:
            self.names.append(reason)
        return self.names.index(reason)

    def judge(self, reasons: NDArray[np.int32]) -> None:
        """Take the reasons, by number, why the next documents go or stay: those of a piece, in order."""
        with self._path.open("ab") as file:
            write_flat(file, reasons)
        self.kept.add(self._judged + np.flatnonzero(reasons == 0))
        self._judged += len(reasons)
        self._count_in(reasons)

    def drop(
        self,
        numbers: Index,
        reason: str,
        *,
        match: Index | int = NO_DOCUMENT,
        score: NDArray[Any] | float = 0.0,
    ) -> None:
        """Drop those of some documents, each named once, that are still in; say for which each goes, and how alike."""
        number, stay = self.number(reason), self.kept[numbers]
        if not stay.any():
            return
        chosen = numbers[stay]
        matches = match[stay] if isinstance(match, np.ndarray) else np.full(len(chosen), match, np.int64)
        scores = score[stay] if isinstance(score, np.ndarray) else np.full(len(chosen), score)
        bits = scores.astype(np.float32).view(np.uint32)
        self._drops.append(chosen, number, matches.astype(np.int64).view(np.uint64), bits)
        self.kept.remove(chosen)
        self._counts[number] += len(chosen)

    def drop_one(self, document: int, reason: str, note: str) -> None:
        """Drop one document, with words of its own."""
        numbers = np.array([document], np.int64)
        if self.kept[numbers][0]:
            self.drop(numbers, reason)
            self._words[document] = note

    def counts(self) -> dict[str, int]:
        """Count the dropped documents by reason, in the order in which reasons came."""
        return {name: self._counts[number] for number, name in enumerate(self.names) if number and self._counts[number]}

    def decided(self, offsets: Sequence[int]) -> Iterator[Decided]:
        """Yield what was decided on the documents from each offset to the next."""
        cursor, judged, noted = Cursor(self._drops), Flat(self._path, np.int32), sorted(self._words)
        for start, stop in pairwise(offsets):
            count = stop - start
            found = Decided(
                judged.part(start, stop),
                np.zeros(count, np.int32),
                [""],
                np.full(count, NO_DOCUMENT, np.int64),
                np.zeros(count, np.float32),
            )
            for numbers, reason, match, score in cursor.up_to(stop):
                at = numbers.astype(np.int64) - start
                found.reason[at], found.match[at] = reason.astype(np.int32), match.view(np.int64)
                found.score[at] = score.astype(np.uint32).view(np.float32)
            for document in noted[bisect_left(noted, start) : bisect_left(noted, stop)]:
                found.note[document - start] = len(found.notes)
                found.notes.append(self._words[document])
            yield found

    def _count_in(self, reasons: NDArray[np.int32]) -> None:
        numbers, counts = np.unique(reasons, return_counts=True)
        self._counts.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))


class DecisionWriter:
    """Write decisions to a Parquet file: a row a document, and a row group for each piece."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._writer, self._names = pa.parquet.ParquetWriter(path, _SCHEMA, compression="zstd"), names

    def append(self, decided: Decided, splits: NDArray[np.int8], clusters: Index) -> None:
        """Write those of a piece; documents of one cluster are near duplicates, directly or through others."""
        columns = [
            numbered(decided.reason, self._names),
            numbered(decided.note, decided.notes),
            numbered(splits, SPLITS),
            column(decided.match),
            column(decided.score),
            column(clusters),
        ]
        rows = pa.Table.from_arrays(columns, schema=_SCHEMA)
        self._writer.write_table(rows, row_group_size=max(1, len(splits)))

    def __enter__(self) -> DecisionWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()


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
