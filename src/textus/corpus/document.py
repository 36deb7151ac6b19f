"""The unit that everything above counts, splits and learns from: one text with its origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from textus import fingerprint

_ID_LETTERS = 32


@dataclass(frozen=True, slots=True)
class Document:
    """Hold one text, where it came from, and what else was known about it.

    >>> Document("Ça va ?", "letters/1.txt").num_bytes
    8
    """

    text: str
    source: str
    """The file or collection it was read from, for people and for scores by source."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Whatever JSON-like facts came with it; nothing here is learnt."""

    @property
    def id(self) -> str:
        """Return the hash of the text: equal texts have equal ids, wherever they come from."""
        return id_of(self.text.encode("utf-8", "surrogatepass"))

    @property
    def num_bytes(self) -> int:
        """Return the size of the text in UTF-8."""
        return len(self.text) if self.text.isascii() else len(self.text.encode("utf-8", "surrogatepass"))


def id_of(text: bytes) -> str:
    """Return the id of a document from its text in UTF-8."""
    return fingerprint.of_bytes(text)[:_ID_LETTERS]
