"""Write the documents of a piece that are kept into their splits, without what was decided to be taken out of them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textus import fingerprint, storage
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.privacy.config import KINDS
from textus.corpus.privacy.find import redact
from textus.corpus.split import SPLITS, Split, by_tail
from textus.corpus.steps.ledger import Decision, read_decisions
from textus.corpus.steps.measure import DOCUMENTS
from textus.corpus.steps.samples import Samples
from textus.corpus.store import DocumentWriter, document_files, read_columns, read_documents

SAMPLES = "samples.json"


@dataclass(frozen=True)
class Writing:
    """What one task writes."""

    measured: Path
    """The directory that holds the piece's documents."""
    decisions: Path
    group: int
    """The row group of the decisions that is the piece's."""
    by_tails: bool
    """Whether each document is cut into a part to learn and a part to measure on."""
    config: CorpusConfig


def write(place: Path, payload: Writing) -> Mapping[str, Any]:
    """Write the kept documents of a piece; count documents and bytes by split, and what was taken out."""
    surgeon = Surgeon(payload.config)
    with ExitStack() as stack:
        writers = {name: stack.enter_context(DocumentWriter(place, name)) for name in SPLITS}
        for document, decision in _kept(payload):
            for split, text in _parts(surgeon.without(document), decision, payload):
                writers[split].append(Document(text, document.source, document.meta))
    storage.write_json(place / SAMPLES, surgeon.samples.as_list())
    counts: dict[str, Any] = {
        name: {"documents": writer.count, "bytes": writer.num_bytes} for name, writer in writers.items()
    }
    return {**counts, "taken_out": dict(surgeon.taken_out)}


class Surgeon:
    """Take out of a document what is not to be learnt, and count it."""

    def __init__(self, config: CorpusConfig) -> None:
        self.taken_out: Counter[str] = Counter()
        self.samples = Samples()
        self._config = config
        self._redacts = any(config.privacy.of(kind) == "redact" for kind in KINDS)

    def without(self, document: Document) -> Document:
        """Return a document without what was decided against."""
        text = document.text
        if self._redacts:
            text, counts = redact(text, self._config.privacy)
            self.taken_out.update({f"redacted: {kind}": count for kind, count in counts.items()})
        if text == document.text:
            return document
        self.samples.take("redacted", document.source, document.text, text)
        return Document(text, document.source, document.meta)


def _kept(payload: Writing) -> Iterator[tuple[Document, Decision]]:
    decisions = read_decisions(payload.decisions, payload.group)
    for document, decision in zip(read_documents(payload.measured, DOCUMENTS), decisions, strict=True):
        if not decision.reason:
            yield document, decision


def _parts(document: Document, decision: Decision, payload: Writing) -> Iterator[tuple[Split, str]]:
    if payload.by_tails:
        yield from by_tail(document.text, payload.config)
    else:
        yield decision.split, document.text


def gather(written: Sequence[Path], directory: Path) -> tuple[dict[str, dict[str, int]], str]:
    """Put the files of all pieces together under one numbering; return the counts by split and the fingerprint.

    The fingerprint is that of the documents in order: it does not depend on how the input was cut into pieces.
    """
    counts: dict[str, dict[str, int]] = {}
    hashes: list[str] = []
    facts = [storage.manifest(place, "work").facts for place in written]
    for name in SPLITS:
        total = {key: sum(fact[name][key] for fact in facts) for key in ("documents", "bytes")}
        if not total["documents"]:
            continue
        ids, number = hashlib.sha256(), 0
        for place in written:
            for path in document_files(place, name):
                for (identity,) in read_columns(path, "id"):
                    ids.update(identity.encode("ascii"))
                _link(path, directory / f"{name}-{number:05}.parquet")
                number += 1
        counts[name] = total
        hashes.append(f"{name} {ids.hexdigest()}")
    return counts, fingerprint.of_parts(hashes)


def _link(path: Path, place: Path) -> None:
    """Give a finished file a second name; copy it where the file system has no such thing."""
    try:
        os.link(path, place)
    except OSError:
        shutil.copyfile(path, place)
