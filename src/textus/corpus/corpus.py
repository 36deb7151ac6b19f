"""A corpus on disk: clean documents in splits, with the report of how they came there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textus import storage
from textus.corpus.document import Document
from textus.corpus.record import as_report
from textus.corpus.split import SPLITS, Split
from textus.corpus.steps.samples import MOST
from textus.corpus.store import read_documents
from textus.errors import CorpusError
from textus.report import Report, Shown

CORPUS_VERSION = 2
"""Raised whenever the same input and settings give other documents, so that cached corpora are made again."""
KIND = "corpus"
REPORT = "report.json"


class Corpus(Shown):
    """A directory of clean documents in splits, opened for reading."""

    def __init__(self, directory: Path, manifest: storage.Manifest) -> None:
        self.directory = directory
        self.manifest = manifest

    @classmethod
    def open(cls, directory: Path) -> Corpus:
        """Open a corpus; raise `ArtefactError` when it is missing, damaged or something else."""
        return cls(directory, storage.manifest(directory, KIND))

    @property
    def fingerprint(self) -> str:
        """Return the hash of all documents in order, by split: equal ones hold the same text."""
        return str(self.manifest.facts["fingerprint"])

    @property
    def splits(self) -> tuple[Split, ...]:
        """Name the splits that hold documents."""
        return tuple(name for name in SPLITS if name in self.manifest.facts["splits"])

    def documents(self, split: Split) -> Iterator[Document]:
        """Yield the documents of a split in order."""
        self._facts(split)
        return read_documents(self.directory, split)

    def count(self, split: Split) -> int:
        """Return how many documents a split holds."""
        return self._facts(split)["documents"]

    def num_bytes(self, split: Split) -> int:
        """Return the size of a split's texts in UTF-8."""
        return self._facts(split)["bytes"]

    def record(self) -> dict[str, Any]:
        """Return what was read, dropped, repaired and split, and how, for programs."""
        found: dict[str, Any] = storage.read_json(self.directory / REPORT)
        return found

    def report(self, examples: int = MOST) -> Report:
        """Tell the same for people, with up to so many examples of each reason."""
        return as_report(self.record(), examples)

    def _facts(self, split: Split) -> dict[str, int]:
        if split not in self.splits:
            raise CorpusError(
                f"{self.directory}: no {split} part; there is {', '.join(self.splits)}",
                hint=f"set corpus.{split}_fraction above 0 and make the corpus again",
            )
        facts: dict[str, int] = self.manifest.facts["splits"][split]
        return facts
