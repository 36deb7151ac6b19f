"""From files to documents, one at a time, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from textus.corpus.compression import InputFile
from textus.corpus.config import CorpusConfig
from textus.corpus.decode import decoded
from textus.corpus.document import Document
from textus.corpus.files import HTML, names
from textus.corpus.log import ReadLog
from textus.corpus.records import json_lines, json_values, parquet, table
from textus.corpus.text import documents
from textus.errors import InputError
from textus.progress import SILENT, Progress

_BLOCK = 1 << 20
_TABLES = {".jsonl": json_lines, ".ndjson": json_lines, ".json": json_values, ".csv": table, ".tsv": table}


def read(
    files: Sequence[Path], config: CorpusConfig, progress: Progress = SILENT, log: ReadLog | None = None
) -> Iterator[Document]:
    """Yield the documents of `files` in order, as they are; `log` learns what was met.

    Memory is bounded by the longest document. Raises `InputError` naming the file (and line) that cannot be read, or
    goes on and notes it where `config.unreadable` is "skip". Raises it also when no file had anything in it.
    """
    log = ReadLog(stop=config.unreadable == "stop") if log is None else log
    some = False
    with progress.task("read", sum(map(_size, files)), "B") as task:
        for path, name in zip(files, names(files), strict=True):
            file, reached = InputFile(path, name), 0.0
            try:
                for document in _documents(file, config, log):
                    task.advance(file.position - reached)
                    reached, some = file.position, True
                    yield document
            except InputError as error:
                log.refuse(error, "files")
            task.advance(_size(path) - reached)
    if not some:
        raise InputError(
            f"{_listing(files)}: nothing to read; " + ("; ".join(log.named[:3]) or "every file is empty"),
            hint="give files with text in them",
        )


def _documents(file: InputFile, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    if _is_empty(file.path):
        log.skip("empty", str(file.path))
        return
    log.files[f"{file.suffix or 'no ending'}{file.compression}"] += 1
    if file.suffix == ".parquet":
        yield from parquet(file, config, log)
    elif file.suffix in HTML:
        from textus.corpus.html import html  # its library is loaded where a page is met

        yield from html(file, config, log)
    else:
        blocks = decoded(file.blocks(_BLOCK), config.encoding, file.path, log)
        if file.suffix in _TABLES:
            yield from _TABLES[file.suffix](file, blocks, config, log)
        else:
            yield from _plain(file, blocks, config, log)


def _plain(file: InputFile, blocks: Iterator[str], config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read plain text; a document among several in one file is told apart by its number."""
    first, number = "", 0
    for number, words in enumerate(documents(blocks, config.maximum_bytes, log)):
        if number == 1:
            yield Document(first, file.name, {"part": 0})
        if number:
            yield Document(words, file.name, {"part": number})
        else:
            first = words
    if number == 0 and first:
        yield Document(first, file.name)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # opening it will say what is wrong


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:
        return False


def _listing(files: Sequence[Path]) -> str:
    shown = ", ".join(map(str, files[:3]))
    return f"{shown} and {len(files) - 3} more" if len(files) > 3 else shown
