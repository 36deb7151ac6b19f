"""From files to documents, one at a time, whatever the format."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from textus.corpus.compression import InputFile, readable
from textus.corpus.config import CorpusConfig
from textus.corpus.decode import encoding_of
from textus.corpus.document import Document
from textus.corpus.files import LINES
from textus.corpus.formats import archived, content, lines
from textus.corpus.inputs import Part, list_parts
from textus.corpus.log import ReadLog
from textus.corpus.tables import parquet
from textus.corpus.text import next_document, next_line
from textus.errors import InputError
from textus.progress import SILENT, Progress

_BLOCK = 1 << 20


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
        file = InputFile(part.path, part.name, some, part.opened)
        file.weight = part.weight
        yield from _documents(part, file, config, log)
    except InputError as error:
        log.refuse(error, "files")
    advance(left)


def extent(part: Part) -> int:
    """Return how many bytes the documents take that begin in a part of a text, or its weight where it cannot be read.

    Where one is long this is more than the part spans, and nothing where all of it belongs to one that began before.
    """
    file = InputFile(part.path, part.name, opener=part.opened)
    try:
        _set_range(file, part, next_document)
    except InputError:
        return part.weight  # reading it will say what is wrong
    return file.stop - file.start


def _documents(part: Part, file: InputFile, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    if part.unit == "file":
        yield from content(file, config, log)
        return
    if part.start == 0:
        log.files[f"{file.suffix or 'no ending'}{file.compression}"] += 1
    span = (part.start, part.stop)
    if part.unit == "row groups":
        yield from parquet(file, config, log, span)
    elif part.unit == "members":
        yield from archived(file, config, log, span)
    else:
        _set_range(file, part, next_line if file.suffix in LINES else next_document)
        if file.start < file.stop:
            whole = (lambda: _encoding_of_whole(part)) if config.encoding == "auto" else None
            yield from lines(file, config, log, whole)


def _set_range(file: InputFile, part: Part, next_start: Callable[..., int]) -> None:
    """Move both ends of a range on to where a document begins; the ends of neighbours move to the same place."""
    with readable(file.path), file.open() as raw:
        file.start = next_start(raw, part.start, part.stop)
        is_empty = file.start == part.stop < part.size
        file.stop = file.start if is_empty else next_start(raw, part.stop, part.size)


def _encoding_of_whole(part: Part) -> str:
    return encoding_of(InputFile(part.path, part.name, opener=part.opened).blocks(_BLOCK), part.path)


def _check_unchanged(part: Part) -> None:
    if part.now() != (part.size, part.version):
        raise InputError(f"{part.path}: has changed since it was listed", hint="run the same command again")


def _listing(inputs: Sequence[str | Path]) -> str:
    shown = ", ".join(map(str, itertools.islice(inputs, 3)))
    return f"{shown} and {len(inputs) - 3} more" if len(inputs) > 3 else shown
