"""PDF, as well as it goes: the words of its pages in the order in which they were painted."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from textus.corpus.compression import InputFile
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.log import ReadLog
from textus.corpus.text import pieces
from textus.errors import InputError

_POOR = "PDF files were read: columns, tables, hyphens and formulas come out poorly; look at some of them"


def pdf(file: InputFile, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read one document of all pages; pages without words (scans) give none."""
    try:
        import pypdf
    except ImportError:
        raise InputError(f"{file.path}: reading PDF needs pypdf", hint='pip install "textus[pdf]"') from None
    log.name(_POOR)
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of every small flaw
    with file.seekable() as raw:
        try:
            reader = pypdf.PdfReader(raw)
            text = "\n\n".join(words for page in reader.pages if (words := page.extract_text().strip()))
            title = reader.metadata.title if reader.metadata else None
        except Exception as error:  # of many kinds, on files that are damaged or encrypted
            words = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise InputError(
                f"{file.path}: cannot be read as PDF: {words}",
                hint="convert it to text (`pdftotext`), or set corpus.unreadable=skip to leave it out",
            ) from None
        file.advance(file.weight)
    meta = {"title": title} if isinstance(title, str) and title else {}
    for number, piece in enumerate(pieces(text, config.maximum_bytes, log)):
        yield Document(piece, file.name, meta | ({"piece": number} if number else {}))
