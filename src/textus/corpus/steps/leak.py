"""Measure on the finished texts how much of what is held out stands in training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textus.corpus.batch import TextBatch, batches
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.duplicates.leakage import NO_MATCH, HeldOut, Leakage, Matches
from textus.corpus.duplicates.verify import shingle_sets
from textus.corpus.steps.samples import Samples
from textus.corpus.store import read_documents

HELD_OUT = ("validation", "test")
_OFFSETS, _SHINGLES, _SIZES, _MATCHES = "offsets.npy", "shingles.npy", "sizes.npy", "matches.npy"


def spell_held_out(place: Path, payload: tuple[Sequence[Path], CorpusConfig]) -> Mapping[str, Any]:
    """Write the sets of all documents that are held out, and their sizes in bytes."""
    written, config = payload
    counts, sizes = [np.zeros(1, np.int64)], []
    with (place / _SHINGLES).open("wb") as file:
        for group in batches(_held_out(written)):
            hashes, offsets = shingle_sets(TextBatch([document.text for document in group]), config.duplicates.words)
            hashes.tofile(file)
            counts.append(np.diff(offsets))
            sizes += [document.num_bytes for document in group]
    np.save(place / _OFFSETS, np.cumsum(np.concatenate(counts)))
    np.save(place / _SIZES, np.array(sizes, np.int64))
    return {"documents": len(sizes)}


@dataclass(frozen=True)
class Look:
    """A piece whose training documents are compared with all that are held out."""

    written: Path
    held_out: Path
    config: CorpusConfig


def look(place: Path, payload: Look) -> Mapping[str, Any]:
    """Write which held-out documents are seen in a piece's training documents."""
    config, known = payload.config, _open(payload.held_out, payload.config)
    parts: list[Matches] = []
    first = 0
    for group in batches(read_documents(payload.written, "train")):
        hashes, offsets = shingle_sets(TextBatch([document.text for document in group]), config.duplicates.words)
        parts.append(known.seen_in(hashes, offsets, first))
        first += len(group)
    rows = [np.stack((part.train, part.held_out, part.likeness, part.containment), axis=1) for part in parts]
    np.save(place / _MATCHES, np.concatenate([np.zeros((0, 4)), *rows]))
    return {}


def summarize(written: Sequence[Path], looked: Sequence[Path], held_out: Path, samples: Samples) -> dict[str, Any]:
    """Return the share of held-out documents and bytes that was seen in training; keep the worst as samples."""
    sizes = np.load(held_out / _SIZES)
    matches, pieces = [], []
    for number, place in enumerate(looked):
        rows = np.load(place / _MATCHES)
        # A training document is known by its piece and its place in it.
        train = rows[:, 0].astype(np.int64) * len(looked) + number
        matches.append(Matches(train, rows[:, 1].astype(np.int64), rows[:, 2], rows[:, 3]))
        pieces.append(place)
    found = Leakage.of(matches, len(sizes))
    summary = found.summary(sizes, worst=5)
    wanted = {pair.held_out: pair for pair in summary.worst}
    texts = {number: document for number, document in enumerate(_held_out(written)) if number in wanted}
    for number, pair in wanted.items():
        assert pair.train != NO_MATCH
        row, piece = divmod(pair.train, len(looked))
        train = next(doc for at, doc in enumerate(read_documents(written[piece], "train")) if at == row)
        note = f"shared with {train.source}: {pair.containment:.2f} of it; likeness {pair.likeness:.2f}"
        samples.take("held out, and seen in training", texts[number].source, texts[number].text, train.text, note)
    return {
        "held-out documents": summary.documents,
        "of these seen in training": summary.leaked_documents,
        "share of documents": round(summary.share, 4),
        "share of bytes": round(summary.share_of_bytes, 4),
    }


def _open(place: Path, config: CorpusConfig) -> HeldOut:
    offsets = np.load(place / _OFFSETS)
    hashes = np.memmap(place / _SHINGLES, np.uint32, "r") if offsets[-1] else np.zeros(0, np.uint32)
    return HeldOut(hashes, offsets, config.leakage)


def _held_out(written: Sequence[Path]) -> Iterator[Document]:
    for name in HELD_OUT:
        for place in written:
            yield from read_documents(place, name)
