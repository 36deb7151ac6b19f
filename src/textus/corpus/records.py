"""Formats of one document a record: JSON lines, JSON, CSV and Parquet, each read in bounded memory."""

from __future__ import annotations

import csv
import difflib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from textus.corpus.compression import InputFile, readable
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.log import ReadLog
from textus.errors import InputError

_LONGEST_FACT = 256
_DELIMITERS = ",;\t|"
_PARQUET_ROWS = 64


def json_lines(file: InputFile, blocks: Iterable[str], config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read one JSON value a line."""
    for number, line in _lines(file, blocks, config):
        if not line.strip():
            continue
        where = f"{file.path}:{number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            log.refuse(InputError(f"{where}: not valid JSON: {error}", hint=_HINT_DAMAGED))
            continue
        yield from _document(value, where, file, config, log)


def json_values(file: InputFile, blocks: Iterable[str], config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read a JSON list of records, one record, or several one after the other."""
    number = 0
    try:
        for number, value in enumerate(_values(file, blocks, config), 1):
            yield from _document(value, f"{file.path}: record {number}", file, config, log)
    except (ValueError, RecursionError) as error:
        log.refuse(InputError(f"{file.path}: record {number + 1} is not valid JSON: {error}", hint=_HINT_DAMAGED))


def table(file: InputFile, blocks: Iterable[str], config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read CSV (comma, semicolon, tab or bar) with a header and possibly line breaks within quotes."""
    stream = _whole_rows(file, blocks, config)
    header, _, first = next(stream, "").partition("\n")
    if not header.strip():
        return
    delimiter, columns = _header(header, config.text_column)
    if config.text_column not in columns:
        raise _missing(f"{file.path}", columns, config.text_column)
    number = 1
    for chunk in itertools.chain([first], stream):
        for row in _parse_rows(chunk, delimiter, columns, file, number):
            number += 1
            yield from _document(row, f"{file.path}: row {number}", file, config, log)


def parquet(file: InputFile, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read the text column of a Parquet file, with the small facts beside it."""
    if file.compression:
        raise InputError(
            f"{file.path}: Parquet inside {file.compression}", hint="unpack it first; Parquet is compressed itself"
        )
    rows = 0
    with readable(file.path), pyarrow.parquet.ParquetFile(file.path, pre_buffer=False) as source:
        schema = source.schema_arrow
        if config.text_column not in schema.names:
            raise _missing(f"{file.path}", schema.names, config.text_column)
        kind = schema.field(config.text_column).type
        if not _is_text(kind):
            raise InputError(f"{file.path}: column `{config.text_column}` holds {kind}, not text", hint=_HINT_COLUMN)
        columns = [field.name for field in schema if field.name == config.text_column or _is_fact(field.type)]
        total, size = max(1, source.metadata.num_rows), file.path.stat().st_size
        for batch in source.iter_batches(_PARQUET_ROWS, columns=columns, use_threads=False):
            for row in _rows(batch, file, rows, log):
                rows += 1
                yield from _document(row, f"{file.path}: row {rows}", file, config, log)
            file.position = size * rows / total


_HINT_DAMAGED = "mend or delete that record, or set corpus.unreadable=skip to leave such records out"
_HINT_COLUMN = "name the column that holds the text with corpus.text_column=NAME"
_HINT_LONG = "raise corpus.maximum_document_mb, or cut the record into several"


def _document(value: Any, where: str, file: InputFile, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Yield the document of one record; a record without one is refused."""
    try:
        text = _text(value, where, config)
    except InputError as error:
        log.refuse(error)
        return
    facts = value if isinstance(value, Mapping) else {}
    source = facts.get("source")
    meta = {key: fact for key, fact in facts.items() if key not in (config.text_column, "source") and _is_small(fact)}
    yield Document(text, source if isinstance(source, str) and source else file.name, meta)


def _text(value: Any, where: str, config: CorpusConfig) -> str:
    if isinstance(value, Mapping):
        if config.text_column not in value:
            if isinstance(value.get("messages"), list):
                raise InputError(
                    f"{where}: a conversation (`messages`), not a text",
                    hint="a corpus takes texts; `textus adapt --method instruct` takes conversations",
                )
            raise _missing(where, list(value), config.text_column)
        value = value[config.text_column]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{where}: `{config.text_column}` is {_kind(value)}, not a string", hint=_HINT_COLUMN)
    if len(value) * 4 > config.maximum_bytes and len(value.encode("utf-8", "surrogatepass")) > config.maximum_bytes:
        raise _too_long(where, config)
    return value


def _lines(file: InputFile, blocks: Iterable[str], config: CorpusConfig) -> Iterator[tuple[int, str]]:
    """Yield numbered lines; raise `InputError` at one that is longer than a document may be."""
    pending, number = "", 0
    for block in blocks:
        pending += block
        *whole, pending = pending.split("\n")
        for line in whole:
            number += 1
            yield number, line
        if len(pending) > config.maximum_bytes:
            raise _too_long(f"{file.path}:{number + 1}", config)
    if pending:
        yield number + 1, pending


def _values(file: InputFile, blocks: Iterable[str], config: CorpusConfig) -> Iterator[Any]:
    """Yield JSON values from a stream, and the items of a list in place of the list."""
    decoder, pending, opened = json.JSONDecoder(), "", False
    for block in _and_none(blocks):
        pending += block or ""
        while pending := pending.lstrip(" \t\r\n,"):
            if pending[0] == "[" and not opened:
                opened, pending = True, pending[1:]
                continue
            if pending[0] == "]" and opened:
                opened, pending = False, pending[1:]
                continue
            try:
                value, end = decoder.raw_decode(pending)
            except json.JSONDecodeError as error:
                cut_off = error.msg.startswith("Unterminated string") or error.pos >= len(pending) - 8
                if block is None or not cut_off:
                    raise
                break
            yield value
            pending = pending[end:]
        if len(pending) > config.maximum_bytes:
            raise _too_long(f"{file.path}: a record", config)
    if opened:
        raise ValueError("the list is not closed; the file ends too early")


def _and_none(blocks: Iterable[str]) -> Iterator[str | None]:
    yield from blocks
    yield None


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
                hint=_HINT_LONG,
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
        log.refuse(InputError(f"{where}: not UTF-8: {error.reason}", hint=_HINT_DAMAGED))


def _missing(where: str, columns: list[str], wanted: str) -> InputError:
    close = difflib.get_close_matches(wanted, columns, n=1, cutoff=0.6)
    shown = ", ".join(columns[:20]) + (", ..." if len(columns) > 20 else "")
    return InputError(
        f"{where}: no column `{wanted}`; there is {shown or 'none'}",
        hint=f"set corpus.text_column={close[0] if close else 'NAME'} to the column that holds the text",
    )


def _too_long(where: str, config: CorpusConfig) -> InputError:
    return InputError(f"{where}: longer than {config.maximum_document_mb:g} MB", hint=_HINT_LONG)


def _kind(value: Any) -> str:
    names: list[tuple[type, str]] = [
        (bool, "true or false"),
        (int, "a number"),
        (float, "a number"),
        (list, "a list"),
        (dict, "an object"),
    ]
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)


def _is_small(fact: Any) -> bool:
    return isinstance(fact, bool | int | float) or (isinstance(fact, str) and len(fact) <= _LONGEST_FACT)


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner))


def _is_fact(kind: pa.DataType) -> bool:
    return bool(_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
