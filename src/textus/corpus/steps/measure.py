"""Read a piece of the input, repair each text, and measure everything that is ever decided on.

This is the only step that reads the user's files, and the costliest. What it measures does not depend on thresholds, so
that other thresholds can be tried on its columns alone.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from textus import fingerprint, storage
from textus.corpus.arrow import column, strings
from textus.corpus.batch import Hashes, TextBatch, batches
from textus.corpus.blemishes import may_need_repair
from textus.corpus.clean import clean
from textus.corpus.config import CorpusConfig
from textus.corpus.deduplicate import content_digests
from textus.corpus.document import Document
from textus.corpus.duplicates.minhash import keys_of
from textus.corpus.duplicates.verify import kept_bits
from textus.corpus.filters.features import features
from textus.corpus.filters.language import identify
from textus.corpus.inputs import Part
from textus.corpus.log import ReadLog
from textus.corpus.passages.boilerplate import CandidateLines, candidate_lines
from textus.corpus.privacy.find import count
from textus.corpus.read import read_part
from textus.corpus.steps.samples import Samples
from textus.corpus.steps.sets import RunWriter
from textus.corpus.store import DocumentWriter, read_file

VERSION = 5
"""Raised whenever the same input and settings give other documents or measures."""
DOCUMENTS, TABLE, LOG = "documents", "table.parquet", "log.json"
BANDS, LINES = "bands.npy", "lines.npz"
_GROUP_ROWS = 20_000
_LICENCES = ("license", "licence", "rights")


class Source(Protocol):
    """Where the documents of a piece come from."""

    @property
    def identity(self) -> Any:
        """Return what tells this content from any other's without reading it."""
        ...

    @property
    def size(self) -> float:
        """Return the bytes that reading it takes, about."""
        ...

    def documents(self, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
        """Yield the documents."""
        ...


@dataclass(frozen=True)
class Files:
    """Parts of the user's files."""

    parts: tuple[Part, ...]

    @property
    def identity(self) -> Any:
        """Return what tells this content from any other's."""
        return [part.identity for part in self.parts]

    @property
    def size(self) -> float:
        """Return its bytes on disk."""
        return float(sum(part.weight for part in self.parts))

    def documents(self, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
        """Read the parts one after the other."""
        for part in self.parts:
            yield from read_part(part, config, log)


@dataclass(frozen=True)
class Staged:
    """Documents that came from Python, kept in a file of ours."""

    path: Path
    key: str

    @property
    def identity(self) -> Any:
        """Return what tells this content from any other's."""
        return [self.key, self.path.name]

    @property
    def size(self) -> float:
        """Return its bytes on disk."""
        return float(self.path.stat().st_size)

    @property
    def weight(self) -> int:
        """Return the same as a whole number, as parts of files do."""
        return int(self.size)

    def documents(self, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
        """Read the file again."""
        return read_file(self.path)


@dataclass(frozen=True)
class Unpacking:
    """A part that is too large for one piece and cannot be read from its middle on, as packed files cannot."""

    part: Part
    config: CorpusConfig
    file_bytes: int

    @property
    def key(self) -> list[Any]:
        """Return all that the result depends on."""
        return [VERSION, self.part.identity, *read_settings(self.config), self.file_bytes]


def unpack(place: Path, payload: Unpacking) -> Mapping[str, Any]:
    """Write the documents of a part as they are, in files of the size of a piece."""
    log = ReadLog(stop=payload.config.unreadable == "stop")
    with DocumentWriter(place, DOCUMENTS, payload.file_bytes) as writer:
        for document in read_part(payload.part, payload.config, log):
            writer.append(document)
    storage.write_json(place / LOG, {"log": log.as_dict()})
    return {"documents": writer.count}


def read_settings(config: CorpusConfig) -> list[Any]:
    """Return the settings on which it depends what documents are read."""
    return [config.text_column, config.encoding, config.maximum_document_mb, config.unreadable]


@dataclass(frozen=True)
class Piece:
    """What one task reads and measures."""

    source: Source
    held_out: bool
    """Whether these documents were given to measure the model on."""
    config: CorpusConfig

    @property
    def key(self) -> str:
        """Hash all that the result depends on, and no more: other thresholds measure nothing anew."""
        config = self.config
        read = [*read_settings(config), config.fix_unicode]
        return fingerprint.of_value(
            [VERSION, self.source.identity, self.held_out, *read, config.duplicates.signature, config.privacy.checked]
        )


def measure(place: Path, piece: Piece) -> Mapping[str, Any]:
    """Write the repaired documents of a piece, their measures, their runs of words, and the keys of near duplicates."""
    config = piece.config
    log, repairs, table = ReadLog(stop=config.unreadable == "stop"), Repairs(), _Table(place / TABLE)
    bands: list[Hashes] = []
    lines: list[CandidateLines] = []
    with DocumentWriter(place, DOCUMENTS) as writer, RunWriter(place) as runs:
        for group in batches(piece.source.documents(config, log)):
            documents, batch = repairs.repaired(group, config)
            encoded = [writer.append(document) for document in documents]
            table.append(_measures(documents, encoded, batch, config))
            hashes, offsets = batch.ngrams(config.duplicates.words)
            runs.append(kept_bits(hashes), offsets)
            bands.append(keys_of(hashes, offsets, config.duplicates))
            lines.append(candidate_lines(batch))
    table.close()
    if bands:
        np.save(place / BANDS, np.concatenate(bands).T)
        np.savez(place / LINES, **vars(CandidateLines.joined(lines)))
    storage.write_json(place / LOG, {"log": log.as_dict(), **repairs.as_dict()})
    return {"documents": writer.count, "bytes": writer.num_bytes}


class _Table:
    """Write the columns of many batches, some thousand rows at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts: list[dict[str, list[str] | NDArray[Any]]] = []
        self._rows = 0
        self._writer: pa.parquet.ParquetWriter | None = None

    def append(self, columns: dict[str, list[str] | NDArray[Any]]) -> None:
        """Add rows, by column."""
        self._parts.append(columns)
        self._rows += len(columns["digest"])
        if self._rows >= _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left; without a row there is no file."""
        self._flush()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        if not self._parts:
            return
        columns: dict[str, pa.Array] = {}
        for name, first in self._parts[0].items():
            parts = [part[name] for part in self._parts]
            is_words = isinstance(first, list)
            columns[name] = strings(itertools.chain(*parts)) if is_words else column(np.concatenate(parts))
        rows = pa.Table.from_arrays(list(columns.values()), list(columns))
        words = [name for name, values in columns.items() if pa.types.is_dictionary(values.type)]
        if self._writer is None:
            self._writer = pa.parquet.ParquetWriter(
                self._path, rows.schema, compression="zstd", use_dictionary=words, write_statistics=False
            )
        self._writer.write_table(rows)
        self._parts, self._rows = [], 0


def _measures(
    documents: list[Document], encoded: list[bytes], batch: TextBatch, config: CorpusConfig
) -> dict[str, list[str] | NDArray[Any]]:
    texts = [document.text for document in documents]
    digests = np.frombuffer(content_digests(encoded), ">u8").reshape(-1, 2)
    languages, confidences = identify(texts)
    return {
        "group": [group_of(document.source) for document in documents],
        "licence": [_licence(document.meta) for document in documents],
        "language": languages,
        "digest": digests[:, 0].astype(np.uint64),
        "digest_rest": digests[:, 1].astype(np.uint64),
        "bytes": np.array(list(map(len, encoded)), np.int64),
        "characters": np.diff(batch.starts) - 1,
        "language_confidence": confidences,
        **features(batch),
        **{f"private_{kind}": found for kind, found in count(texts, batch, checked=config.privacy.checked).items()},
    }


def group_of(source: str) -> str:
    """Name the part of the input that a document belongs to, for counts by source.

    >>> group_of("letters/1890/a.txt"), group_of("a.txt"), group_of("wikipedia")
    ('letters/', '*.txt', 'wikipedia')
    """
    first, found, _ = source.partition("/")
    if found:
        return first + "/"
    stem, found, suffix = source.rpartition(".")
    return f"*.{suffix.lower()}" if stem and found and len(suffix) <= 8 else source


def _licence(meta: Mapping[str, Any]) -> str:
    return next((str(meta[name]) for name in _LICENCES if meta.get(name)), "")


@dataclass
class Repairs:
    """Count the repairs of documents, and keep the first examples of those worth seeing."""

    counts: Counter[str] = field(default_factory=Counter)
    samples: Samples = field(default_factory=Samples)

    def repaired(self, documents: list[Document], config: CorpusConfig) -> tuple[list[Document], TextBatch]:
        """Return documents with their texts repaired, and the texts as a batch."""
        # Line breaks around a text are not worth a look, let alone a note.
        texts = [document.text.strip("\n") for document in documents]
        batch = TextBatch(texts)
        marked = may_need_repair(batch)
        for number in np.flatnonzero(marked).tolist():
            texts[number] = self._cleaned(documents[number], config)
        return [
            document if text is document.text else Document(text, document.source, document.meta)
            for document, text in zip(documents, texts, strict=True)
        ], TextBatch(texts) if marked.any() else batch

    def _cleaned(self, document: Document, config: CorpusConfig) -> str:
        text, repairs = clean(document.text, config)
        self.counts += repairs
        for repair in repairs:
            self.samples.take(f"repaired: {repair}", document.source, document.text, text)
        return text

    def as_dict(self) -> dict[str, Any]:
        """Return counts and examples for JSON."""
        return {"repairs": dict(self.counts), "samples": self.samples.as_list()}
