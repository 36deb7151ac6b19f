"""What reading met on its way: kept so that nothing is passed over in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from textus.errors import InputError

_MOST_NAMED = 50
_COUNTS = ("files", "encodings", "skipped", "unreadable")


@dataclass
class ReadLog:
    """Count files, encodings and what was left out, and name the first of these."""

    stop: bool = True
    """Raise at what cannot be read, rather than note it and go on."""
    files: Counter[str] = field(default_factory=Counter)
    """Files read, by format."""
    encodings: Counter[str] = field(default_factory=Counter)
    """Text files, and parts of long ones, by encoding."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Files left out on purpose, by reason."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """Files and records that could not be read: `files`, `records`, `bytes` (undecodable, now U+FFFD)."""
    cut: int = 0
    """Cuts made in plain texts beyond the largest size, which became several documents."""
    named: list[str] = field(default_factory=list)
    """The first problems in words, each with its file."""

    def as_dict(self) -> dict[str, Any]:
        """Return the counts and words for JSON."""
        counts = {name: dict(getattr(self, name)) for name in _COUNTS}
        return {**counts, "cut": self.cut, "named": self.named}

    def add(self, other: ReadLog) -> None:
        """Add what another log met afterwards, such as one of the next part of the input."""
        for name in _COUNTS:
            getattr(self, name).update(getattr(other, name))
        self.cut += other.cut
        for words in other.named:
            self.name(words)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], stop: bool = True) -> ReadLog:
        """Rebuild a log from what `as_dict` gave."""
        counts = {name: Counter(values[name]) for name in _COUNTS}
        return cls(stop=stop, cut=values["cut"], named=list(values["named"]), **counts)

    def refuse(self, error: InputError, what: str = "records") -> None:
        """Raise `error`, or count and name it where unreadable input is to be skipped."""
        if self.stop:
            raise error
        self.unreadable[what] += 1
        self.name(error.message)

    def skip(self, reason: str, name: str) -> None:
        """Count a file that is left out on purpose."""
        self.skipped[reason] += 1
        self.name(f"{name}: {reason}")

    def name(self, words: str) -> None:
        """Remember the first problems in words."""
        if len(self.named) < _MOST_NAMED:
            self.named.append(words)
