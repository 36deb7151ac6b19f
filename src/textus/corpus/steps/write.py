"""Write the documents of a piece that are kept into their splits, without what was decided to be taken out of them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from textus import fingerprint, storage
from textus.corpus.batch import TextBatch, batches
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.passages.boilerplate import boilerplate, remove_lines
from textus.corpus.passages.cut import without_words
from textus.corpus.privacy.config import KINDS
from textus.corpus.privacy.find import redact
from textus.corpus.split import SPLITS, Split, by_tail
from textus.corpus.steps.cuts import read_cuts
from textus.corpus.steps.leak import HELD_OUT
from textus.corpus.steps.ledger import read_decisions
from textus.corpus.steps.lines import REPEATED
from textus.corpus.steps.measure import DOCUMENTS
from textus.corpus.steps.samples import Samples
from textus.corpus.steps.table import Measured
from textus.corpus.store import DocumentWriter, document_files, read_columns, read_documents, read_file
from textus.corpus.work.task import KIND as WORK

SAMPLES = "samples.json"


@dataclass(frozen=True)
class Writing:
    """What one task writes."""

    piece: Measured
    decisions: Path
    group: int
    """The row group of the decisions that is the piece's."""
    cuts: tuple[Path, ...]
    """Where runs of words are that are to be cut out."""
    lines: Path | None
    """Where the keys of repeated lines are, if boilerplate is looked for."""
    by_tails: bool
    """Whether each document is cut into a part to learn and a part to measure on."""
    config: CorpusConfig


def write(place: Path, payload: Writing) -> Mapping[str, Any]:
    """Write the kept documents of a piece; count documents and bytes by split, and what was taken out."""
    piece = payload.piece
    surgeon = Surgeon(payload.config, read_cuts(payload.cuts, piece.start, piece.stop), payload.lines)
    with ExitStack() as stack:
        writers = {name: stack.enter_context(DocumentWriter(place, name)) for name in SPLITS}
        decisions = read_decisions(payload.decisions, payload.group)
        numbered = surgeon.cut(read_documents(piece.place, DOCUMENTS), piece.start)
        kept = compress(numbered, (not decision.reason for decision in decisions))
        splits = (decision.split for decision in decisions if not decision.reason)
        for group in batches(kept):
            for document, split in zip(surgeon.without(group), splits, strict=False):
                for part, text in _parts(document, split, payload):
                    writers[part].append(Document(text, document.source, document.meta))
    storage.write_json(place / SAMPLES, surgeon.samples.as_list())
    counts: dict[str, Any] = {
        name: {"documents": writer.count, "bytes": writer.num_bytes} for name, writer in writers.items()
    }
    return {**counts, "taken_out": dict(surgeon.taken_out)}


class Surgeon:
    """Take out of documents what is not to be learnt, count it, and keep examples."""

    def __init__(self, config: CorpusConfig, cuts: Mapping[int, Sequence[tuple[int, int]]], lines: Path | None) -> None:
        self.taken_out: Counter[str] = Counter()
        self.samples = Samples()
        self._config, self._cuts = config, cuts
        self._redacts = any(config.privacy.of(kind) == "redact" for kind in KINDS)
        self._repeated = np.load(lines / REPEATED) if lines else np.zeros(0, np.uint64)

    def cut(self, documents: Iterable[Document], first: int) -> Iterator[Document]:
        """Cut runs of words out of documents, of which the first has the number `first`."""
        for number, document in enumerate(documents, first):
            if number not in self._cuts:
                yield document
                continue
            text = without_words(TextBatch([document.text]), 0, self._cuts[number])
            self.taken_out["passages cut"] += len(self._cuts[number])
            self.samples.take("cut", document.source, document.text, text)
            yield Document(text, document.source, document.meta)

    def without(self, group: Sequence[Document]) -> list[Document]:
        """Return documents without what was decided against."""
        texts = [document.text for document in group]
        if len(self._repeated):
            texts = self._without_boilerplate(group)
        if self._redacts:
            texts = [self._redacted(text, document.source) for text, document in zip(texts, group, strict=True)]
        return [
            document if text is document.text else Document(text, document.source, document.meta)
            for text, document in zip(texts, group, strict=True)
        ]

    def _without_boilerplate(self, group: Sequence[Document]) -> list[str]:
        batch = TextBatch([document.text for document in group])
        found = boilerplate(batch, self._repeated, self._config.boilerplate)
        if not found.any():
            return [document.text for document in group]
        self.taken_out["boilerplate lines"] += int(found.sum())
        texts = remove_lines(batch, found)
        for document, text in zip(group, texts, strict=True):
            if text != document.text:
                self.taken_out["documents with boilerplate"] += 1
                self.samples.take("boilerplate", document.source, document.text, text)
        return texts if self._config.boilerplate.action == "remove" else [document.text for document in group]

    def _redacted(self, text: str, source: str) -> str:
        redacted, counts = redact(text, self._config.privacy)
        if counts:
            self.taken_out.update({f"redacted: {kind}": count for kind, count in counts.items()})
            self.samples.take("redacted", source, text, redacted)
        return redacted


def _parts(document: Document, split: Split, payload: Writing) -> Iterator[tuple[Split, str]]:
    if payload.by_tails:
        yield from by_tail(document.text, payload.config)
    elif document.text:
        yield split, document.text


def gather(
    written: Sequence[Path], directory: Path, moved: Set[int] = frozenset()
) -> tuple[dict[str, dict[str, int]], str]:
    """Put the files of all pieces together under one numbering; return the counts by split and the fingerprint.

    `moved` are documents that are trained on though they were to be held out, by their number among these. The
    fingerprint is that of the documents in order: it does not depend on how the input was cut into pieces.
    """
    facts = [storage.manifest(place, WORK).facts for place in written]
    counts = {name: {key: sum(fact[name][key] for fact in facts) for key in ("documents", "bytes")} for name in SPLITS}
    files = {name: [path for place in written for path in document_files(place, name)] for name in SPLITS}
    hashes = {name: hashlib.sha256() for name in SPLITS}
    for number, path in enumerate(files["train"]):
        _hash(path, hashes["train"])
        _link(path, directory / f"train-{number:05}.parquet")
    first = 0
    for place_among, name in enumerate(HELD_OUT):
        if not any(first <= number < first + counts[name]["documents"] for number in moved):
            for number, path in enumerate(files[name]):
                _hash(path, hashes[name])
                _link(path, directory / f"{name}-{number:05}.parquet")
            first += counts[name]["documents"]
            continue
        with DocumentWriter(directory, name) as kept, DocumentWriter(directory, f"train-moved-{place_among}") as other:
            for document in (document for path in files[name] for document in read_file(path)):
                is_moved = first in moved
                (other if is_moved else kept).append(document)
                hashes["train" if is_moved else name].update(document.id.encode("ascii"))
                first += 1
        counts[name] = {"documents": kept.count, "bytes": kept.num_bytes}
        for key, amount in (("documents", other.count), ("bytes", other.num_bytes)):
            counts["train"][key] += amount
    filled = [name for name in SPLITS if counts[name]["documents"]]
    content = fingerprint.of_parts(f"{name} {hashes[name].hexdigest()}" for name in filled)
    return {name: counts[name] for name in filled}, content


def _hash(path: Path, ids: Any) -> None:
    for (identity,) in read_columns(path, "id"):
        ids.update(identity.encode("ascii"))


def _link(path: Path, place: Path) -> None:
    """Give a finished file a second name; copy it where the file system has no such thing."""
    try:
        os.link(path, place)
    except OSError:
        shutil.copyfile(path, place)
