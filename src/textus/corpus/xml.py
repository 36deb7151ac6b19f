"""XML: the words between the tags, in bounded memory, with entities kept from multiplying."""

from __future__ import annotations

import html.entities
from collections.abc import Callable, Iterator
from typing import Any
from xml.parsers import expat

from textus.corpus.compression import InputFile
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.log import ReadLog
from textus.corpus.text import pieces
from textus.errors import InputError

_BLOCK = 1 << 18
_LONGEST_ENTITY = 256
_HINT = "mend it, or set corpus.unreadable=skip to leave such files out"


def xml(file: InputFile, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read the words of one file, a line where elements meet without words between them; long ones are cut."""
    reader, number = Reader(str(file.path)), 0
    reader.parser.XmlDeclHandler = lambda version, encoding, alone: log.encodings.update(
        [(encoding or "utf-8").lower()]
    )
    waiting = ""
    for block in file.blocks(_BLOCK):
        waiting += reader.feed(block)
        if len(waiting) <= config.maximum_bytes:
            continue
        *whole, waiting = pieces(waiting, config.maximum_bytes, log)
        for piece in whole:
            yield _document(piece, file.name, number)
            number += 1
    waiting += reader.feed(b"", True)
    for piece in pieces(waiting, config.maximum_bytes, log):
        yield _document(piece, file.name, number)
        number += 1


def _document(text: str, name: str, number: int) -> Document:
    return Document(text, name, {"piece": number} if number else {})


class Reader:
    """Gather the words of an XML document that comes in blocks."""

    def __init__(self, path: str, breaks: Callable[[str], str] = lambda tag: "", layout: bool = True) -> None:
        """Take what the end of an element stands for; with `layout`, one without words after it ends a line."""
        self._path, self._breaks, self._layout = path, breaks, layout
        self._words: list[str] = []
        self._after_end = False
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.UseForeignDTD(True)  # so that an entity of an outer definition is passed over, not an error
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self.parser.CharacterDataHandler = self._on_words
        self.parser.StartElementHandler = self._on_start
        self.parser.EndElementHandler = self._on_end
        self.parser.EntityDeclHandler = self._on_entity
        self.parser.SkippedEntityHandler = self._on_skipped

    def feed(self, block: bytes, last: bool = False) -> str:
        """Take more of the document; return its words so far, and forget them."""
        try:
            self.parser.Parse(block, last)
        except expat.ExpatError as error:
            words = expat.errors.messages.get(error.code, "not XML")
            raise InputError(f"{self._path}: line {error.lineno}: not valid XML: {words}", hint=_HINT) from None
        words, self._words = "".join(self._words), []
        return words

    def _on_words(self, words: str) -> None:
        self._words.append(words)
        self._after_end = False

    def _on_start(self, tag: str, attributes: Any) -> None:
        if self._after_end:
            self._words.append("\n")
        self._after_end = False

    def _on_end(self, tag: str) -> None:
        if mark := self._breaks(tag):
            self._words.append(mark)
        self._after_end = self._layout and not mark

    def _on_entity(self, name: str, is_parameter: bool, value: str | None, *others: Any) -> None:
        # An entity made of others can grow without bound; what documents define for themselves is short.
        if value is not None and not is_parameter and ("&" in value or len(value) > _LONGEST_ENTITY):
            raise InputError(
                f"{self._path}: defines the entity `{name}`, long or made of others, as a decompression bomb does",
                hint=_HINT,
            )

    def _on_skipped(self, name: str, is_parameter: bool) -> None:
        if not is_parameter:
            self._on_words(html.entities.html5.get(f"{name};", ""))
