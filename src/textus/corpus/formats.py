"""How each format is read: the one place where an ending finds its reader, loaded when it is first met."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from textus.corpus.archive import members
from textus.corpus.compression import InputFile
from textus.corpus.config import CorpusConfig
from textus.corpus.decode import Encoded
from textus.corpus.document import Document
from textus.corpus.files import ARCHIVES, HTML, LINES, MAIL, OFFICE, PDF, WARC, XML
from textus.corpus.jsonl import json_lines, json_values
from textus.corpus.log import ReadLog
from textus.corpus.tables import arrow, parquet, table
from textus.corpus.text import documents
from textus.errors import InputError

_BLOCK = 1 << 20
_TABLES = {".json": json_values, ".csv": table, ".tsv": table}
_AFTER_MARK = 4
"""A document that begins before this byte is the first of its file: only a byte order mark may stand before it."""


def content(file: InputFile, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Yield the documents of a whole file, or of a whole member of an archive."""
    log.files[f"{file.suffix or 'no ending'}{file.compression}"] += 1
    if file.suffix in ARCHIVES:
        yield from archived(file, config, log)
    elif reader := _reader(file.suffix):
        yield from reader(file, config, log)
    elif file.suffix in _TABLES:
        source = Encoded(file.blocks(_BLOCK), config.encoding, file.path, log)
        yield from _TABLES[file.suffix](file, source.text(), config, log)
    else:
        yield from lines(file, config, log)


def archived(
    file: InputFile, config: CorpusConfig, log: ReadLog, span: tuple[int, int] | None = None
) -> Iterator[Document]:
    """Yield the documents of an archive's members; one that cannot be read is refused alone."""
    for member in members(file, log, span):
        try:
            yield from content(member, config, log)
        except InputError as error:
            log.refuse(error, "files")


def lines(
    file: InputFile, config: CorpusConfig, log: ReadLog, whole: Callable[[], str] | None = None
) -> Iterator[Document]:
    """Read plain text or JSON lines; `whole` names the encoding where only a range of the file is read.

    A plain text that is not all of its file says at which byte it begins, or which piece of a long one it is.
    """
    source = Encoded(file.blocks(_BLOCK), config.encoding, file.path, log, whole, file.start)
    if file.suffix in LINES:
        yield from json_lines(file, source, config, log)
        return
    for begun, number, words in documents(source, config.maximum_bytes, log):
        meta = {}
        if begun >= _AFTER_MARK:
            meta["offset"] = begun
        if number:
            meta["piece"] = number
        yield Document(words, file.name, meta)


def _reader(suffix: str) -> Callable[[InputFile, CorpusConfig, ReadLog], Iterator[Document]] | None:
    if suffix == ".parquet":
        return parquet
    if suffix in (".arrow", ".feather"):
        return arrow
    if suffix in HTML:
        from textus.corpus.html import html

        return html
    if suffix in XML:
        from textus.corpus.xml import xml

        return xml
    if suffix in OFFICE:
        from textus.corpus.office import office

        return office
    if suffix in WARC:
        from textus.corpus.warc import warc

        return warc
    if suffix in MAIL:
        from textus.corpus.mail import mail

        return mail
    if suffix == PDF:
        from textus.corpus.pdf import pdf

        return pdf
    return None
