"""Tables of one document a row: CSV, Parquet and Arrow, each read in bounded memory."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from textus.corpus.compression import InputFile, readable
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.log import ReadLog
from textus.corpus.records import HINT_COLUMN, HINT_DAMAGED, HINT_LONG, Maker, missing_column, naming
from textus.errors import InputError

_DELIMITERS = ",;\t|"
_ROWS = 64
_ARROW_FILE = b"ARROW1"


def table(file: InputFile, blocks: Iterable[str], config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read CSV (comma, semicolon, tab or bar) with a header and possibly line breaks within quotes."""
    stream = _whole_rows(file, blocks, config)
    header, _, first = next(stream, "").partition("\n")
    if not header.strip():
        return
    delimiter, columns = _header(header, config.text_column)
    if config.text_column not in columns:
        raise naming(f"{file.path}", missing_column(columns, config.text_column))
    number, make = 1, Maker(file, config, log, lambda number: f"{file.path}: row {number}")
    for chunk in itertools.chain([first], stream):
        for row in _parse_rows(chunk, delimiter, columns, file, number):
            number += 1
            if document := make(row, number):
                yield document


def parquet(
    file: InputFile, config: CorpusConfig, log: ReadLog, groups: tuple[int, int] | None = None
) -> Iterator[Document]:
    """Read the text column of a Parquet file, or of a range of its row groups, with the small facts beside it."""
    if file.compression:
        raise InputError(
            f"{file.path}: Parquet inside {file.compression}", hint="unpack it first; Parquet is compressed itself"
        )
    make = Maker(file, config, log, lambda number: f"{file.path}: row {number}")
    with readable(file.path), file.seekable() as raw, pyarrow.parquet.ParquetFile(raw, pre_buffer=False) as source:
        columns = _columns(source.schema_arrow, file, config)
        sizes = [source.metadata.row_group(number).num_rows for number in range(source.num_row_groups)]
        wanted = range(*groups) if groups else range(len(sizes))
        number = sum(sizes[: wanted.start])
        share = file.weight / max(1, sum(sizes[wanted.start : wanted.stop]))
        for batch in source.iter_batches(_ROWS, wanted, columns, use_threads=False):
            for row in _rows(batch, file, number, log):
                number += 1
                if document := make(row, number):
                    yield document
            file.advance(share * batch.num_rows)


def arrow(file: InputFile, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read an Arrow file or stream, as the `datasets` library keeps its records."""
    make = Maker(file, config, log, lambda number: f"{file.path}: row {number}")
    number = 0
    with readable(file.path), file.seekable() as raw:
        is_file = raw.read(len(_ARROW_FILE)) == _ARROW_FILE
        raw.seek(0)
        with pa.ipc.open_file(raw) if is_file else pa.ipc.open_stream(raw) as source:
            columns = _columns(source.schema, file, config)
            batches = (source.get_batch(n) for n in range(source.num_record_batches)) if is_file else source
            for whole in batches:
                before = raw.tell()
                for start in range(0, whole.num_rows, _ROWS):
                    batch = whole.select(columns).slice(start, _ROWS)
                    for row in _rows(batch, file, number, log):
                        number += 1
                        if document := make(row, number):
                            yield document
                file.advance(raw.tell() - before)


def _columns(schema: pa.Schema, file: InputFile, config: CorpusConfig) -> list[str]:
    """Name the text column and those with small facts; raise `InputError` where there is no such column of text."""
    if config.text_column not in schema.names:
        raise naming(f"{file.path}", missing_column(schema.names, config.text_column))
    kind = schema.field(config.text_column).type
    if not _is_text(kind):
        raise InputError(f"{file.path}: column `{config.text_column}` holds {kind}, not text", hint=HINT_COLUMN)
    return [field.name for field in schema if field.name == config.text_column or _is_fact(field.type)]


def _header(line: str, wanted: str) -> tuple[str, list[str]]:
    """Return the first delimiter under which the header has the wanted column, and the columns."""
    readings = [(mark, next(csv.reader([line.rstrip("\r")], delimiter=mark))) for mark in _DELIMITERS]
    return next(
        (reading for reading in readings if wanted in reading[1]), max(readings, key=lambda reading: len(reading[1]))
    )


def _whole_rows(file: InputFile, blocks: Iterable[str], config: CorpusConfig) -> Iterator[str]:
    """Cut a CSV stream into chunks of whole rows."""
    pending = ""
    for block in blocks:
        pending += block
        end = _end_of_rows(pending)
        if end:
            yield pending[:end]
            pending = pending[end:]
        if len(pending) > config.maximum_bytes:
            # A quotation mark that is opened and never closed looks the same as a very long row.
            raise InputError(
                f"{file.path}: a row longer than {config.maximum_document_mb:g} MB, or a quotation mark never closed",
                hint=HINT_LONG,
            )
    yield pending


def _end_of_rows(text: str) -> int:
    """Return where the last whole row ends: after a line break that an even number of quotation marks precedes."""
    end = len(text)
    while (end := text.rfind("\n", 0, end)) >= 0:
        if text.count('"', 0, end) % 2 == 0:
            return end + 1
        end = text.rfind('"', 0, end)
    return 0


def _parse_rows(
    chunk: str, delimiter: str, columns: list[str], file: InputFile, before: int
) -> Iterator[dict[str, Any]]:
    """Parse whole rows from memory: Arrow's reader of streams reads ahead in threads, without bounds."""
    data = chunk.encode("utf-8", "replace")
    if not data.strip():
        return
    try:
        rows = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            pyarrow.csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=columns),
            pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        found = re.search(r"(?:Row #(\d+): )?(Expected \d+ columns, got \d+)", str(error))
        where = f"row {before + int(found[1] or 1)}: {found[2].lower()}" if found else str(error).splitlines()[0]
        raise InputError(
            f"{file.path}: {where}", hint='put fields that hold the delimiter or a line break in quotation marks (")'
        ) from None
    yield from rows.to_pylist()


def _rows(batch: pa.RecordBatch, file: InputFile, before: int, log: ReadLog) -> Iterator[dict[str, Any]]:
    try:
        yield from batch.to_pylist()
    except UnicodeDecodeError as error:
        where = f"{file.path}: rows {before + 1} to {before + batch.num_rows}"
        log.refuse(InputError(f"{where}: not UTF-8: {error.reason}", hint=HINT_DAMAGED))


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner))


def _is_fact(kind: pa.DataType) -> bool:
    return bool(_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
