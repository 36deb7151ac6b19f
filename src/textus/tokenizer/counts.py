"""Count the words of any amount of text in bounded memory, into tables on disk that can be merged.

A table is a Parquet file of words in the order of their code points, each once, with how often it occurs. Tables of
parts of a corpus, counted anywhere and in any number, merge into the table of the whole: nothing is dropped on the way.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from textus import storage
from textus.errors import ArtefactError
from textus.tokenizer.words import words

MOST_WORDS = 2_000_000
"""Different words in memory while counting, at some 150 bytes each, before they go to disk."""
MOST_BYTES = 24_000_000
"""Bytes of different words that merges are learnt from, at some 60 bytes of memory each."""
_SCHEMA = pa.schema([("word", pa.string()), ("count", pa.int64())])
_ROWS = 1 << 16
_MOST_TABLES = 64
"""Merged at once: each keeps a file open and some rows in memory."""

Counts = dict[str, int]


class WordCounter:
    """Count words text by text; `counts` gives them, after any number of visits to the disk."""

    def __init__(self, directory: Path, most_words: int = MOST_WORDS) -> None:
        self._directory, self._most_words = directory, most_words
        self._counts: Counter[str] = Counter()
        self._tables: list[Path] = []

    def add(self, text: str) -> None:
        """Count the words of a text, which must hold no lone surrogates."""
        for part in words(text):
            self._counts.update(part)
            if len(self._counts) > self._most_words:
                self._spill()

    def save(self, path: Path) -> None:
        """Write the table of everything counted so far, and forget it."""
        self._spill()
        merge_tables(self._tables, path)
        for table in self._tables:
            table.unlink()
        self._tables = []

    def counts(self, most_bytes: int = MOST_BYTES) -> Counts:
        """Return the counts, those of `load_table` where they have been on disk; nothing can be added afterwards."""
        if not self._tables and sum(map(len, self._counts)) * 4 <= most_bytes:
            return dict(self._counts)
        self.save(self._directory / "words.parquet")
        return load_table(self._directory / "words.parquet", most_bytes)

    def _spill(self) -> None:
        if self._counts:
            self._tables.append(self._directory / f"words-{len(self._tables):05}.parquet")
            _write(self._tables[-1], sorted(self._counts.items()))
            self._counts.clear()


def merge_tables(tables: Sequence[Path], path: Path) -> None:
    """Add up tables into one; which word was counted where, and in which order, makes no difference to it."""
    tables, made = list(tables), 0
    with ExitStack() as stack:
        while len(tables) > _MOST_TABLES:
            between = path.with_name(f"{path.stem}-merged-{made:05}.parquet")
            stack.callback(between.unlink, missing_ok=True)
            _write(between, _merged(tables[:_MOST_TABLES]))
            tables, made = [*tables[_MOST_TABLES:], between], made + 1
        _write(path, _merged(tables))


def load_table(path: Path, most_bytes: int = MOST_BYTES) -> Counts:
    """Return the words of a table that occur most often, as many as `most_bytes` of UTF-8 hold.

    Where they do not hold all, there is a least count, and every word is kept that has it: the smallest count for which
    the words fit. It depends on the table alone, and so on the text alone.
    """
    sizes: Counter[int] = Counter()
    for batch in _batches(path):
        lengths = pa.compute.binary_length(batch.column("word")).to_numpy(zero_copy_only=False)
        found, where = np.unique(batch.column("count").to_numpy(), return_inverse=True)
        sizes.update(dict(zip(found.tolist(), np.bincount(where, lengths).astype(np.int64).tolist(), strict=True)))
    least, total = 1, sum(sizes.values())
    for count in sorted(sizes):
        if total <= most_bytes:
            break
        least, total = count + 1, total - sizes[count]
    rows = (row for batch in _batches(path) for row in _rows(batch))
    return {word: count for word, count in rows if count >= least}


def _merged(tables: Sequence[Path]) -> Iterator[tuple[str, int]]:
    rows = heapq.merge(*((row for batch in _batches(table) for row in _rows(batch)) for table in tables))
    for word, found in groupby(rows, key=itemgetter(0)):
        yield word, sum(count for _, count in found)


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[str, int]]:
    return zip(batch.column("word").to_pylist(), batch.column("count").to_pylist(), strict=True)


def _write(path: Path, rows: Iterable[tuple[str, int]]) -> None:
    with storage.refusals(path), pa.parquet.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        for part in _parts(rows):
            columns = [
                pa.array(column, kind) for column, kind in zip(zip(*part, strict=True), _SCHEMA.types, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA))


def _parts(rows: Iterable[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    part: list[tuple[str, int]] = []
    size = 0
    for row in rows:
        part.append(row)
        size += len(row[0])
        if len(part) >= _ROWS or size >= _ROWS * 64:
            yield part
            part, size = [], 0
    if part:
        yield part


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        with pa.parquet.ParquetFile(path, pre_buffer=False) as file:
            if file.schema_arrow != _SCHEMA:
                raise ArtefactError(f"{path}: not a table of counted words", hint="count the words again")
            for group in range(file.num_row_groups):
                yield from file.read_row_group(group, use_threads=False).to_batches()
    except (pa.ArrowException, OSError) as error:
        raise ArtefactError(f"{path}: damaged: {str(error).splitlines()[0]}", hint="count the words again") from None
