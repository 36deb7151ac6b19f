"""Follow a document back: what was read, what was measured of it, and what was decided about it, kept or dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textus import storage
from textus.corpus.corpus import Corpus
from textus.corpus.document import Document
from textus.corpus.steps.ledger import Decision, read_decisions
from textus.corpus.steps.measure import DOCUMENTS
from textus.corpus.steps.table import Measured
from textus.corpus.store import read_documents
from textus.errors import ArtefactError, ConfigError

WORK = ".work"
"""Added to a corpus' name, the place of what is kept beside it."""
_FILE = "trail.json"


@dataclass(frozen=True)
class Step:
    """One document as it was read and repaired, and what became of it."""

    number: int
    """Its place among all that were read."""
    document: Document
    decision: Decision

    @property
    def verdict(self) -> str:
        """Say in a few words what became of it."""
        return f"dropped: {self.decision.reason}" if self.decision.reason else f"kept: {self.decision.split}"


class Trail:
    """The documents of a corpus before anything was decided, in the order in which they were read."""

    def __init__(self, pieces: tuple[Measured, ...], decisions: Path) -> None:
        self._pieces, self._decisions = pieces, decisions

    @classmethod
    def open(cls, corpus: Corpus) -> Trail:
        """Open what was kept beside a corpus; raise `ArtefactError` where it was not."""
        root = corpus.directory.with_name(corpus.directory.name + WORK)
        try:
            values = storage.read_json(root / _FILE)
            if values["fingerprint"] != corpus.fingerprint:
                raise KeyError
        except (ArtefactError, KeyError, TypeError):
            raise ArtefactError(
                f"{root}: holds nothing that tells how this corpus was made",
                hint="make the corpus again with corpus.work.keep=true",
            ) from None
        pieces = tuple(Measured(root / piece.pop("place"), **piece) for piece in values["pieces"])
        return cls(pieces, root / values["decisions"])

    def __len__(self) -> int:
        return self._pieces[-1].stop

    def __iter__(self) -> Iterator[Step]:
        for group, piece in enumerate(self._pieces):
            documents = enumerate(read_documents(piece.place, DOCUMENTS), piece.start)
            for (number, document), decision in zip(documents, read_decisions(self._decisions, group), strict=True):
                yield Step(number, document, decision)

    def step(self, number: int) -> Step:
        """Return one document; raise `ConfigError` where there is none of this number."""
        if not 0 <= number < len(self):
            raise ConfigError(f"no document {number} was read", hint=f"there are documents 0 to {len(self) - 1}")
        return next(step for step in self if step.number == number)

    def measures(self, number: int) -> dict[str, Any]:
        """Return everything that was measured of a document."""
        piece = next(piece for piece in self._pieces if piece.start <= number < piece.stop)
        return {name: values[number - piece.start] for name, values in piece.columns().items()}

    def cluster(self, number: int) -> list[Step]:
        """Return the documents that are nearly like this one, directly or through others; itself among them."""
        own = self.step(number).decision.cluster
        return [step for step in self if step.decision.cluster == own]

    def search(self, words: str, most: int = 20) -> list[Step]:
        """Return the first documents that hold these words, kept or dropped, whatever their case."""
        wanted = words.casefold()
        found = (step for step in self if wanted in step.document.text.casefold())
        return [step for step, _ in zip(found, range(most), strict=False)]


def keep_trail(corpus: Corpus, pieces: tuple[Measured, ...], decisions: Path) -> None:
    """Write down beside a corpus where its documents came from."""
    root = corpus.directory.absolute().with_name(corpus.directory.name + WORK)
    rows = [{**vars(piece), "place": piece.place.relative_to(root).as_posix()} for piece in pieces]
    values = {"fingerprint": corpus.fingerprint, "pieces": rows, "decisions": decisions.relative_to(root).as_posix()}
    storage.write_json(root / _FILE, values)
