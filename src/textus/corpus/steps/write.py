"""Write the documents of a piece that are kept into their splits, without what was decided to be taken out of them."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import compress, count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from textus import fingerprint, storage
from textus.corpus.batch import TextBatch, batches
from textus.corpus.config import CorpusConfig
from textus.corpus.passages.boilerplate import boilerplate, remove_lines
from textus.corpus.passages.cut import marked_words
from textus.corpus.privacy.config import KINDS
from textus.corpus.privacy.find import redact
from textus.corpus.split import SPLITS, Split, by_tail
from textus.corpus.steps.cuts import Cuts, read_cuts
from textus.corpus.steps.leak import CHANGED, HELD_OUT, ROWS
from textus.corpus.steps.ledger import read_choices
from textus.corpus.steps.lines import REPEATED, lines_of
from textus.corpus.steps.measure import DOCUMENTS
from textus.corpus.steps.samples import Samples
from textus.corpus.steps.table import Measured
from textus.corpus.store import DocumentWriter, Row, document_files, read_columns, read_file, read_rows
from textus.corpus.work.task import KIND as WORK

SAMPLES = "samples.json"


@dataclass(frozen=True)
class Writing:
    """What one task writes."""

    piece: Measured
    decisions: Path
    group: int
    """The row group of the decisions that is the piece's."""
    cuts: tuple[Cuts, ...]
    """Where runs of words are that are to be cut out, or marked."""
    lines: Path | None
    """Where the keys of repeated lines are, if boilerplate is looked for."""
    by_tails: bool
    """Whether each document is cut into a part to learn and a part to measure on."""
    config: CorpusConfig


def write(place: Path, payload: Writing) -> Mapping[str, Any]:
    """Write the kept documents of a piece; count documents and bytes by split, and what was taken out."""
    piece = payload.piece
    surgeon = Surgeon(payload)
    reasons, splits = read_choices(payload.decisions, payload.group)
    rows: list[int] = []
    with ExitStack() as stack:
        writers = {name: stack.enter_context(DocumentWriter(place, name)) for name in SPLITS}
        every = zip(count(), read_rows(piece.place, DOCUMENTS), splits, strict=False)
        kept = itertools.starmap(_Kept, compress(every, (not reason for reason in reasons)))
        for group in batches(kept):
            for one, text in zip(group, surgeon.without(group), strict=True):
                for split, part in _parts(text, one.split, payload):
                    is_whole = part is one.row.text
                    writers[split].append_row(one.row if is_whole else one.row.with_text(part))
                    if split == "train":
                        rows.append(one.number if is_whole else CHANGED)
    np.save(place / ROWS, np.array(rows, np.int64))
    storage.write_json(place / SAMPLES, surgeon.samples.as_list())
    counts: dict[str, Any] = {
        name: {"documents": writer.count, "bytes": writer.num_bytes} for name, writer in writers.items()
    }
    return {**counts, "taken_out": dict(surgeon.taken_out)}


class _Kept(NamedTuple):
    """A document that stays, by its place in the piece."""

    number: int
    row: Row
    split: Split

    @property
    def text(self) -> str:
        return self.row.text


class Surgeon:
    """Take out of documents what is not to be learnt, count it, and keep examples."""

    def __init__(self, payload: Writing) -> None:
        piece, config = payload.piece, payload.config
        self.taken_out: Counter[str] = Counter()
        self.samples = Samples()
        self._config, self._first = config, piece.start
        self._cuts = read_cuts(payload.cuts, piece.start, piece.stop)
        self._redacts = any(config.privacy.of(kind) == "redact" for kind in KINDS)
        self._repeated = np.load(payload.lines / REPEATED) if payload.lines else np.zeros(0, np.uint64)
        lines = lines_of(piece) if len(self._repeated) else None
        self._is_doubtful = lines.doubtful(self._repeated, config.boilerplate) if lines else np.zeros(0, bool)

    def without(self, group: Sequence[_Kept]) -> list[str]:
        """Return texts without what was decided against."""
        texts = [self._cut(one) for one in group]
        # What a cut has joined may be a line that is repeated.
        doubtful = [
            at
            for at, one in enumerate(group)
            if len(self._repeated) and (self._is_doubtful[one.number] or texts[at] is not one.text)
        ]
        if doubtful:
            shorter = self._without_boilerplate([texts[at] for at in doubtful], [group[at].row for at in doubtful])
            for at, text in zip(doubtful, shorter, strict=True):
                texts[at] = text
        if self._redacts:
            texts = [self._redacted(text, one.row.source) for text, one in zip(texts, group, strict=True)]
        return texts

    def _cut(self, one: _Kept) -> str:
        runs = self._cuts.get(self._first + one.number)
        if not runs:
            return one.text
        text = marked_words(TextBatch([one.text]), 0, runs)
        marks = [mark for *_, mark in runs if mark]
        self.taken_out += Counter({"passages masked": len(marks), "passages cut": len(runs) - len(marks)})
        self.samples.take("masked" if marks else "cut", one.row.source, one.text, text)
        # A mark alone is nothing to learn.
        return "" if marks and not any(map(str.isalnum, text.replace(marks[0], ""))) else text

    def _without_boilerplate(self, texts: Sequence[str], rows: Sequence[Row]) -> Sequence[str]:
        batch = TextBatch(texts)
        found = boilerplate(batch, self._repeated, self._config.boilerplate)
        if not found.any():
            return texts
        self.taken_out["boilerplate lines"] += int(found.sum())
        shorter = remove_lines(batch, found)
        for text, short, row in zip(texts, shorter, rows, strict=True):
            if short != text:
                self.taken_out["documents with boilerplate"] += 1
                self.samples.take("boilerplate", row.source, text, short)
        if self._config.boilerplate.action != "remove":
            return texts
        return [text if short == text else short for text, short in zip(texts, shorter, strict=True)]

    def _redacted(self, text: str, source: str) -> str:
        redacted, counts = redact(text, self._config.privacy)
        if counts:
            self.taken_out.update({f"redacted: {kind}": count for kind, count in counts.items()})
            self.samples.take("redacted", source, text, redacted)
        return redacted


def _parts(text: str, split: Split, payload: Writing) -> Iterator[tuple[Split, str]]:
    if payload.by_tails:
        yield from by_tail(text, payload.config)
    elif text:
        yield split, text


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
