"""JSON lines, and JSON as a list or a row of values, in bounded memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from textus.corpus.compression import InputFile, readable
from textus.corpus.config import CorpusConfig
from textus.corpus.decode import Encoded
from textus.corpus.document import Document
from textus.corpus.log import ReadLog
from textus.corpus.records import HINT_DAMAGED, Maker, naming, too_long
from textus.errors import InputError

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment]

_BLOCK = 1 << 20
_BLANK = object()
_BETWEEN = re.compile(r"[ \t\r\n,]*")


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
        log.refuse(InputError(f"{file.path}: record {number + 1} is not valid JSON: {error}", hint=HINT_DAMAGED))


def _value(source: Encoded, line: bytes | None, at: int, config: CorpusConfig) -> Any:
    """Return the value of a line, or what stands for a blank one; raise `InputError` without the place for another."""
    if line is None:
        raise too_long(config)
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
        raise InputError(f"not valid JSON: {error}", hint=HINT_DAMAGED) from None


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
        pending, at = pending + (block or ""), 0
        while (at := _BETWEEN.match(pending, at).end()) < len(pending):  # type: ignore[union-attr]
            if pending[at] == ("]" if opened else "["):
                opened, at = not opened, at + 1
                continue
            try:
                value, end = decoder.raw_decode(pending, at)
            except json.JSONDecodeError as error:
                cut_off = error.msg.startswith("Unterminated string") or error.pos >= len(pending) - 8
                if block is None or not cut_off:
                    raise
                break
            yield value
            at = end
        pending = pending[at:]
        if len(pending) > config.maximum_bytes:
            raise naming(f"{file.path}: a record", too_long(config))
    if opened:
        raise ValueError("the list is not closed; the file ends too early")


def _and_none(blocks: Iterable[str]) -> Iterator[str | None]:
    yield from blocks
    yield None
