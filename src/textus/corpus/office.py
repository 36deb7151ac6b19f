"""Documents of word processors (.docx, .odt) and electronic books (.epub): archives of XML."""

from __future__ import annotations

import posixpath
import re
import urllib.parse
import zipfile
from collections.abc import Iterator

from textus.corpus.compression import InputFile, readable
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.html import main_text
from textus.corpus.log import ReadLog
from textus.corpus.text import pieces
from textus.corpus.xml import Reader
from textus.errors import InputError

_BREAKS = {
    "w:p": "\n", "w:tab": "\t", "w:br": "\n", "w:tc": "\t",
    "text:p": "\n", "text:h": "\n", "text:tab": "\t", "text:line-break": "\n", "text:s": " ",
}  # fmt: skip
_BODY = {".docx": "word/document.xml", ".odt": "content.xml"}
_CONTAINER = "META-INF/container.xml"


def office(file: InputFile, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read one document: its paragraphs, or the chapters of a book in their order; a long one is cut."""
    with readable(file.path), file.seekable() as raw, zipfile.ZipFile(raw) as archive:
        try:
            text = _book(file, archive) if file.suffix == ".epub" else _words(file, archive, _BODY[file.suffix])
        except (KeyError, RuntimeError, NotImplementedError) as error:
            raise InputError(
                f"{file.path}: not a {file.suffix} file that can be read: {error}",
                hint="save it again, or as text, or leave it out",
            ) from None
        file.advance(file.weight)
    for number, piece in enumerate(pieces(text.strip(), config.maximum_bytes, log)):
        yield Document(piece, file.name, {"piece": number} if number else {})


def _content(file: InputFile, archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    with archive.open(name) as stream:
        while block := stream.read(1 << 18):
            file.allowance.take(len(block), f"{file.path}/{name}")
            yield block


def _words(file: InputFile, archive: zipfile.ZipFile, name: str) -> str:
    reader = Reader(f"{file.path}/{name}", lambda tag: _BREAKS.get(tag, ""), layout=False)
    return "".join([*map(reader.feed, _content(file, archive, name)), reader.feed(b"", True)])


def _book(file: InputFile, archive: zipfile.ZipFile) -> str:
    """Join the chapters that the book's spine lists."""
    package = _attributes(file, archive, _CONTAINER, "rootfile")[0]["full-path"]
    items = {item["id"]: item.get("href", "") for item in _attributes(file, archive, package, "item")}
    chapters = []
    for reference in _attributes(file, archive, package, "itemref"):
        href = urllib.parse.unquote(items[reference["idref"]])
        name = posixpath.normpath(posixpath.join(posixpath.dirname(package), href))
        chapters.append(main_text(b"".join(_content(file, archive, name)).decode("utf-8", "replace")))
    return "\n\n".join(filter(str.strip, chapters))


def _attributes(file: InputFile, archive: zipfile.ZipFile, name: str, tag: str) -> list[dict[str, str]]:
    """Return the attributes of all elements of a name, whatever their namespace's prefix."""
    found: list[dict[str, str]] = []

    def on_start(element: str, attributes: dict[str, str]) -> None:
        if re.sub("^.*:", "", element) == tag:
            found.append(attributes)

    reader = Reader(f"{file.path}/{name}")
    reader.parser.StartElementHandler = on_start
    for block in _content(file, archive, name):
        reader.feed(block)
    reader.feed(b"", True)
    if not found:
        raise KeyError(f"{name} names no {tag}")
    return found
