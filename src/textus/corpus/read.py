"""From files to documents, one at a time, whatever the format."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from textus.corpus.compression import InputFile, readable
from textus.corpus.config import CorpusConfig
from textus.corpus.decode import Encoded, encoding_of
from textus.corpus.document import Document
from textus.corpus.files import HTML, LINES
from textus.corpus.inputs import Part, list_parts
from textus.corpus.log import ReadLog
from textus.corpus.records import json_lines, json_values, parquet, table
from textus.corpus.text import documents, next_document, next_line
from textus.errors import InputError
from textus.progress import SILENT, Progress

_BLOCK = 1 << 20
_TABLES = {".json": json_values, ".csv": table, ".tsv": table}
_AFTER_MARK = 4
"""A document that begins before this byte is the first of its file: only a byte order mark may stand before it."""


def read(
    inputs: Sequence[str | Path], config: CorpusConfig, progress: Progress = SILENT, log: ReadLog | None = None
) -> Iterator[Document]:
    """Yield the documents of files and folders in order, as they are; `log` learns what was met.

    Memory is bounded by the longest document. Raises `InputError` naming the file (and line) that cannot be read, or
    goes on and notes it where `config.unreadable` is "skip". Raises it also when no file had anything in it.
    """
    log = ReadLog(stop=config.unreadable == "stop") if log is None else log
    parts, some = list_parts(inputs, config, log), False
    with progress.task("read", sum(part.weight for part in parts), "B") as task:
        for part in parts:
            for document in read_part(part, config, log, task.advance):
                some = True
                yield document
    if not some:
        raise InputError(
            f"{_listing(inputs)}: nothing to read; " + ("; ".join(log.named[:3]) or "every file is empty"),
            hint="give files with text in them",
        )


def read_part(
    part: Part, config: CorpusConfig, log: ReadLog, advance: Callable[[float], None] = lambda _: None
) -> Iterator[Document]:
    """Yield the documents of one part in order; `advance` is told of its bytes, which add up to `part.weight`.

    What a part gives depends on its file and on `config` alone. Raises `InputError` as `read` does, and where the file
    has changed since it was listed.
    """
    left = float(part.weight)

    def some(amount: float) -> None:
        nonlocal left
        amount = min(amount, left)
        left -= amount
        advance(amount)

    try:
        _check_unchanged(part)
        file = InputFile(part.path, part.name, some, place=part.place)
        file.weight = part.weight
        yield from _documents(part, file, config, log)
    except InputError as error:
        log.refuse(error, "files")
    advance(left)


def _documents(part: Part, file: InputFile, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    if part.start == 0:
        log.files[f"{file.suffix or 'no ending'}{file.compression}"] += 1
    if file.suffix == ".parquet":
        yield from parquet(file, config, log, (part.start, part.stop) if part.unit == "row groups" else None)
    elif file.suffix in HTML:
        from textus.corpus.html import html  # its library is loaded where a page is met

        yield from html(file, config, log)
    elif read_table := _TABLES.get(file.suffix):
        source = Encoded(file.blocks(_BLOCK), config.encoding, file.path, log)
        yield from read_table(file, source.text(), config, log)
    else:
        is_range = part.unit == "bytes"
        if is_range:
            _set_range(file, part, next_line if file.suffix in LINES else next_document)
            if file.start == file.stop:
                return
        whole = (lambda: _encoding_of_whole(part)) if is_range and config.encoding == "auto" else None
        source = Encoded(file.blocks(_BLOCK), config.encoding, file.path, log, whole, file.start)
        if file.suffix in LINES:
            yield from json_lines(file, source, config, log)
        else:
            yield from _plain(file, source, config, log)


def _plain(file: InputFile, source: Encoded, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read plain text; a document that is not all of its file says at which byte it begins, or which piece it is."""
    for begun, number, words in documents(source, config.maximum_bytes, log):
        meta = {}
        if begun >= _AFTER_MARK:
            meta["offset"] = begun
        if number:
            meta["piece"] = number
        yield Document(words, file.name, meta)


def _set_range(file: InputFile, part: Part, next_start: Callable[..., int]) -> None:
    """Move both ends of a range on to where a document begins; the ends of neighbours move to the same place."""
    with readable(file.path), file.open() as raw:
        file.start = next_start(raw, part.start, part.stop)
        is_empty = file.start == part.stop < part.size
        file.stop = file.start if is_empty else next_start(raw, part.stop, part.size)


def _encoding_of_whole(part: Part) -> str:
    return encoding_of(InputFile(part.place, part.name).blocks(_BLOCK), part.path)


def _check_unchanged(part: Part) -> None:
    with readable(part.path):
        status = Path(part.place).stat()
    if (status.st_size, str(status.st_mtime_ns)) != (part.size, part.version):
        raise InputError(f"{part.path}: has changed since it was listed", hint="run the same command again")


def _listing(inputs: Sequence[str | Path]) -> str:
    shown = ", ".join(map(str, itertools.islice(inputs, 3)))
    return f"{shown} and {len(inputs) - 3} more" if len(inputs) > 3 else shown
