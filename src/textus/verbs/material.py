"""What a measurement is made on: texts that are named, or a part of the run's corpus, read anew each time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from textus.checkpoint.checkpoint import Checkpoint
from textus.corpus.clean import clean
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.read import read
from textus.dataset.shard import DataHash
from textus.dataset.split import TokenSplit
from textus.dataset.tokenize import Shards
from textus.errors import ArtefactError, ConfigError, CorpusError
from textus.evaluation.documents import frames, split_documents
from textus.evaluation.estimate import Measured
from textus.progress import SILENT, Progress
from textus.verbs.contamination import corpus_beside
from textus.verbs.settings import kept_settings

Texts = str | Path | Sequence[str | Path]
HELD_BYTES = 64 * 2**20
"""So much text is held while it is measured; more is read anew each time that it is gone through."""


@dataclass(frozen=True, eq=False)
class Material:
    """Documents that can be gone through again and again; one at a time is in memory."""

    opened: Checkpoint
    paths: tuple[str | Path, ...]
    split: str
    config: CorpusConfig
    progress: Progress

    @classmethod
    def of(
        cls,
        opened: Checkpoint,
        texts: Texts,
        split: str,
        config: CorpusConfig | Literal["run"],
        progress: Progress = SILENT,
    ) -> Material:
        """Bring together what names the texts; raise `ConfigError` where two things are named at once."""
        paths = (texts,) if isinstance(texts, str | Path) else tuple(texts)
        if paths and split != "validation":
            raise ConfigError(f"texts were given, and the {split} part as well", hint="measure one, then the other")
        found = kept_settings(opened.directory).corpus if config == "run" else config
        return cls(opened, paths, split, found, progress)

    @cached_property
    def _texts(self) -> Again:
        return read_texts(self.paths, self.config, self.progress)

    def documents(self) -> Iterator[Document]:
        """Yield the documents."""
        if self.paths:
            yield from self._texts
            return
        corpus = corpus_beside(self.opened.directory)
        name = next((name for name in corpus.splits if name == self.split), None) if corpus else None
        if corpus is None or name is None:
            raise ArtefactError(
                f"{self.opened.directory}: has no {self.split} part beside it", hint="name the texts to measure on"
            )
        yield from corpus.documents(name)

    def measured(self) -> Iterator[Measured]:
        """Yield them as tokens, with their sizes."""
        if self.paths:
            yield from frames(self.opened.tokenizer, self.documents())
        else:
            yield from split_documents(part_of(self.opened, self.split))

    @cached_property
    def data(self) -> str:
        """The fingerprint of the texts."""
        if not self.paths:
            return part_of(self.opened, self.split).data_fingerprint
        return DataHash.of(document.id for document in self.documents())

    @cached_property
    def sources(self) -> list[str]:
        """Where each document comes from."""
        ids, found = [], []
        for document in self.documents():
            ids.append(document.id)
            found.append(document.source)
        if DataHash.of(ids) != self.data:
            raise CorpusError(
                f"{self.opened.directory}: its corpus is no longer that of its shards",
                hint="run `textus train` on it again, or name the texts to measure on",
            )
        return found


def part_of(opened: Checkpoint, split: str) -> TokenSplit:
    """Return a part of the run's own corpus as tokens."""
    directory = opened.directory
    try:
        part = Shards.open(directory / "shards").split(split)
    except ArtefactError:
        raise ArtefactError(
            f"{directory}: has no {split} part beside it", hint="name the texts to measure on"
        ) from None
    if part.tokenizer_fingerprint != opened.tokenizer.fingerprint:
        raise ArtefactError(
            f"{directory}: its shards were made with another tokenizer",
            hint="run `textus train` on it again, or name the texts to measure on",
        )
    return part


def each_text(paths: Sequence[str | Path], config: CorpusConfig, progress: Progress = SILENT) -> Iterator[Document]:
    """Read and repair texts to measure on, one at a time; nothing is deduplicated or split."""
    for document in read(paths, config, progress):
        text, _ = clean(document.text, config)
        if text.strip():
            yield Document(text, document.source, document.meta)


class Again:
    """Documents that can be gone through again and again: held where they are few, else read anew each time."""

    def __init__(self, make: Callable[[], Iterable[Document]], most: int = HELD_BYTES) -> None:
        self._make, self._most = make, most
        self._held: list[Document] | None = None

    def __iter__(self) -> Iterator[Document]:
        if self._held is not None:
            yield from self._held
            return
        held: list[Document] = []
        size = 0
        for document in self._make():
            size += document.num_bytes
            if size <= self._most:
                held.append(document)
            else:
                held.clear()
            yield document
        if size <= self._most:
            self._held = held


def read_texts(paths: Sequence[str | Path], config: CorpusConfig, progress: Progress = SILENT) -> Again:
    """Return texts to measure on, read and repaired; nothing is deduplicated or split."""
    return Again(lambda: each_text(paths, config, progress))
