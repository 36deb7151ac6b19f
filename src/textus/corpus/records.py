"""Formats of one document a record: JSON lines, JSON, CSV, Parquet and Arrow, each read in bounded memory."""

from __future__ import annotations

import csv
import difflib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from textus.corpus.compression import InputFile, readable
from textus.corpus.config import CorpusConfig
from textus.corpus.decode import Encoded
from textus.corpus.document import Document
from textus.corpus.log import ReadLog
from textus.errors import InputError

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

_LONGEST_FACT = 256
_NUMBERS = (bool, int, float)
_LARGEST = 1 << 63
_BLANK = object()
_DELIMITERS = ",;\t|"
_ROWS = 64
_ARROW_FILE = b"ARROW1"
_BLOCK = 1 << 20


def json_lines(file: InputFile, source: Encoded, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read one JSON value a line; `file.start` is where a line begins."""
    before = -1

    def where(number: int) -> str:
        nonlocal before
        if before < 0:  # counted only where a line must be named
            before = _count_lines(file)
        return f"{file.path}:{before + number}"

    make = Maker(file, config, log, where)
    for number, (at, line) in enumerate(_lines(source, config.maximum_bytes), 1):
        try:
            value = _value(source, line, at, config)
        except InputError as error:
            words = error.message.removeprefix(f"{file.path}: ")
            log.refuse(InputError(f"{where(number)}: {words}", hint=error.hint))
            continue
        if value is not _BLANK and (document := make(value, number)):
            yield document


def json_values(file: InputFile, blocks: Iterable[str], config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read a JSON list of records, one record, or several one after the other."""
    number, make = 0, Maker(file, config, log, lambda number: f"{file.path}: record {number}")
    try:
        for number, value in enumerate(_values(file, blocks, config), 1):
            if document := make(value, number):
                yield document
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
        raise _at(f"{file.path}", _missing(columns, config.text_column))
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
        raise _at(f"{file.path}", _missing(schema.names, config.text_column))
    kind = schema.field(config.text_column).type
    if not _is_text(kind):
        raise InputError(f"{file.path}: column `{config.text_column}` holds {kind}, not text", hint=_HINT_COLUMN)
    return [field.name for field in schema if field.name == config.text_column or _is_fact(field.type)]


_HINT_DAMAGED = "mend or delete that record, or set corpus.unreadable=skip to leave such records out"
_HINT_COLUMN = "name the column that holds the text with corpus.text_column=NAME"
_HINT_LONG = "raise corpus.maximum_document_mb, or cut the record into several"


class Maker:
    """Make documents of records, and refuse those without a text."""

    def __init__(self, file: InputFile, config: CorpusConfig, log: ReadLog, where: Callable[[int], str]) -> None:
        self._source, self._config, self._log, self._where = file.name, config, log, where
        self._column, self._surely_short = config.text_column, config.maximum_bytes // 4
        self._own = {config.text_column, "source"}

    def __call__(self, value: Any, number: int) -> Document | None:
        """Return the document of one record; `where` names it by its number, if it must be named."""
        facts: Mapping[str, Any] = value if isinstance(value, dict) else {}
        text = facts.get(self._column)
        if type(text) is not str or len(text) > self._surely_short:
            try:
                text = _text(value, self._config)
            except InputError as error:
                self._log.refuse(_at(self._where(number), error))
                return None
        if len(facts) <= 1:
            return Document(text, self._source)
        source, own = facts.get("source"), self._own
        meta = {key: fact for key, fact in facts.items() if key not in own and _is_small(fact)}
        return Document(text, source if isinstance(source, str) and source else self._source, meta)


def _text(value: Any, config: CorpusConfig) -> str:
    if isinstance(value, Mapping):
        if config.text_column not in value:
            if isinstance(value.get("messages"), list):
                raise InputError(
                    "a conversation (`messages`), not a text",
                    hint="a corpus takes texts; `textus adapt --method instruct` takes conversations",
                )
            raise _missing(list(value), config.text_column)
        value = value[config.text_column]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"`{config.text_column}` is {_kind(value)}, not a string", hint=_HINT_COLUMN)
    if len(value) * 4 > config.maximum_bytes and len(value.encode("utf-8", "surrogatepass")) > config.maximum_bytes:
        raise _too_long(config)
    return value


def _value(source: Encoded, line: bytes | None, at: int, config: CorpusConfig) -> Any:
    """Return the value of a line, or what stands for a blank one; raise `InputError` without the place for another."""
    if line is None:
        raise _too_long(config)
    if source.codec == "utf-8":
        try:
            return _quick(line)
        except (ValueError, RecursionError):
            pass  # blank, damaged, or beyond what orjson takes
    text = source.decode(line, at)
    if not text or text.isspace():
        return _BLANK
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", hint=_HINT_DAMAGED) from None


def _json_of_utf8(line: bytes) -> Any:
    return json.loads(str(line, "utf-8"))


_quick: Callable[[bytes], Any] = orjson.loads if orjson else _json_of_utf8


def _lines(source: Encoded, longest: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield where each line begins, and the line if it is no longer than `longest`."""
    for at, data in _whole_lines(source, longest):
        if not data:
            yield at, None
            continue
        for line in data.removesuffix(b"\n").split(b"\n"):
            yield at, line if len(line) <= longest else None
            at += len(line) + 1


def _whole_lines(source: Encoded, longest: int) -> Iterator[tuple[int, bytes]]:
    """Yield where lines begin, and the lines, many at a time; nothing in place of a line that does not end in time."""
    held: list[bytes] = []
    size, position, skipping = 0, -1, False
    for block in source:
        position = source.start if position < 0 else position
        start, end = 0, block.rfind(b"\n") + 1
        if skipping and end:
            start, skipping = block.find(b"\n") + 1, False
        if end > start:
            yield position + start - size, b"".join([*held, block[start:end]])
            held, size = [], 0
        if not skipping:
            start = max(start, end)
            held.append(block[start:])
            size += len(block) - start
            if size > longest:
                yield position + len(block) - size, b""
                held, size, skipping = [], 0, True
        position += len(block)
    if size:
        yield position - size, b"".join(held)


def _count_lines(file: InputFile) -> int:
    """Count the lines before those that are read."""
    count, left = 0, file.start
    if not left:
        return 0
    with readable(file.path), file.open() as raw:
        while left and (block := raw.read(min(_BLOCK, left))):
            count += block.count(b"\n")
            left -= len(block)
    return count


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
            raise _at(f"{file.path}: a record", _too_long(config))
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


def _missing(columns: list[str], wanted: str) -> InputError:
    close = difflib.get_close_matches(wanted, columns, n=1, cutoff=0.6)
    shown = ", ".join(columns[:20]) + (", ..." if len(columns) > 20 else "")
    return InputError(
        f"no column `{wanted}`; there is {shown or 'none'}",
        hint=f"set corpus.text_column={close[0] if close else 'NAME'} to the column that holds the text",
    )


def _too_long(config: CorpusConfig) -> InputError:
    return InputError(f"longer than {config.maximum_document_mb:g} MB", hint=_HINT_LONG)


def _at(where: str, error: InputError) -> InputError:
    return InputError(f"{where}: {error.message}", hint=error.hint)


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
    if type(fact) is str:
        return len(fact) <= _LONGEST_FACT
    # Beyond this, orjson and json read a number differently; NaN is not JSON at all.
    return type(fact) in _NUMBERS and -_LARGEST < fact < _LARGEST


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner))


def _is_fact(kind: pa.DataType) -> bool:
    return bool(_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
