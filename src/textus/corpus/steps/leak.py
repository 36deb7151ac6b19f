"""Measure on the finished texts how much of what is held out stands in training."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from textus import storage
from textus.corpus.batch import Index, text_batches
from textus.corpus.config import MEGABYTE, CorpusConfig
from textus.corpus.document import Document
from textus.corpus.duplicates.leakage import NO_MATCH, HeldOut, Leakage, LeakageSummary, Matches, known
from textus.corpus.duplicates.sample import Sample, write_sample
from textus.corpus.duplicates.verify import Shingles, distinct, shingles
from textus.corpus.sorting import sorting_bytes
from textus.corpus.split import How, Split
from textus.corpus.steps.samples import Samples
from textus.corpus.steps.sets import gathered, open_sets, write_sets
from textus.corpus.store import Row, read_documents, read_some, read_texts
from textus.corpus.work.task import KIND as WORK

VERSION = 3
"""Raised when other files are written of the documents that are held out."""
HELD_OUT: tuple[Split, ...] = ("validation", "test")
_SHOWN = 5
_SIZES, _MATCHES = "sizes.npy", "matches.npy"
ROWS, CHANGED = "rows.npy", -1
"""Of each training document of a piece the row in which it was read, or that it is no longer as it was read."""


def spell_held_out(place: Path, payload: tuple[Sequence[Path], CorpusConfig]) -> Mapping[str, Any]:
    """Write the sets of all documents that are held out, what they are known by, and their sizes in bytes."""
    written, config = payload
    sizes = array("q")

    def texts() -> Iterator[str]:
        for document in _held_out(written):
            sizes.append(document.num_bytes)
            yield document.text

    write_sets(place, text_batches(texts()), config.duplicates.words)
    memory = sorting_bytes(64 * len(sizes), config.work.memory_mb * MEGABYTE)
    write_sample(place, *open_sets(place), config.leakage, memory // 2)
    np.save(place / _SIZES, np.array(sizes, np.int64))
    return {"documents": len(sizes)}


@dataclass(frozen=True)
class Look:
    """A piece whose training documents are compared with all that are held out."""

    written: Path
    measured: Path
    """Where the runs of words are of what was read, by its rows."""
    held_out: Path
    config: CorpusConfig


def look(place: Path, payload: Look) -> Mapping[str, Any]:
    """Write which held-out documents are seen in a piece's training documents."""
    held_out, parts = _open(payload.held_out, payload.config), [np.zeros((0, 4))]
    for numbers, runs, offsets in _trained_on(payload):
        held = held_out.holders(runs, offsets)
        found = held_out.seen_in(*distinct(*_picked(runs, offsets, held)))
        parts.append(np.stack((numbers[held[found.train]], found.held_out, found.likeness, found.containment), axis=1))
    rows = np.concatenate(parts)
    np.save(place / _MATCHES, rows[np.lexsort((rows[:, 1], rows[:, 0]))])
    return {}


def _trained_on(payload: Look) -> Iterator[tuple[Index, Shingles, Index]]:
    """Yield the runs of training documents: of those that were not changed as they are known, of others anew."""
    rows = np.load(payload.written / ROWS)
    whole, changed = np.flatnonzero(rows != CHANGED), np.flatnonzero(rows == CHANGED)
    first = 0
    for some, runs, offsets in gathered(payload.measured, rows[whole]):
        yield whole[first : first + len(some)], runs, offsets
        first += len(some)
    texts = compress(read_texts(payload.written, "train"), rows == CHANGED) if len(changed) else ()
    first = 0
    for batch in text_batches(texts):
        yield changed[first : first + len(batch)], *shingles(batch, payload.config.duplicates.words)
        first += len(batch)


def _picked(runs: Shingles, offsets: Index, documents: Index) -> tuple[Shingles, Index]:
    """Return the runs of some documents alone."""
    sizes = offsets[documents + 1] - offsets[documents]
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    return runs[np.arange(ends[-1]) + np.repeat(offsets[documents] - ends[:-1], sizes)], ends


@dataclass(frozen=True)
class Seen:
    """What of the held-out documents stands in training."""

    moved: frozenset[int]
    """Held-out documents, by their number among all that are held out, that are better trained on."""
    facts: dict[str, Any]


def settle(
    written: Sequence[Path], looked: Sequence[Path], held_out: Path, config: CorpusConfig, how: How, samples: Samples
) -> Seen:
    """Say which held-out documents training shows; keep the worst as samples.

    Where documents were chosen for their content, others can take their place: these are trained on instead.
    """
    sizes = np.load(held_out / _SIZES)
    # A training document is known by its place in its piece, and by its piece.
    parts = ((number, np.load(place / _MATCHES)) for number, place in enumerate(looked))
    matches = (
        Matches(rows[:, 0].astype(np.int64) * len(looked) + number, rows[:, 1].astype(np.int64), rows[:, 2], rows[:, 3])
        for number, rows in parts
    )
    found = Leakage.of(matches, len(sizes))
    summary = found.summary(sizes, worst=_SHOWN)
    _show(summary, written, samples)
    moved = np.zeros(len(sizes), bool)
    if how == "documents" and summary.leaked_documents:
        moved = known(found, _open(held_out, config).among())
        if moved.all():
            moved[:] = False  # then nothing would be left to measure on
    left = ~moved
    seen = left & (found.matches != NO_MATCH)
    facts = {
        "held-out documents": int(left.sum()),
        "of these seen in training": int(seen.sum()),
        "share of documents": round(float(seen.sum() / max(1, left.sum())), 4),
        "share of bytes": round(float(sizes[seen].sum() / max(1, sizes[left].sum())), 4),
        "moved to training, which showed them": int(moved.sum()),
    }
    return Seen(frozenset(np.flatnonzero(moved).tolist()), facts)


def _show(summary: LeakageSummary, written: Sequence[Path], samples: Samples) -> None:
    """Keep the worst held-out documents with the training documents that show them."""
    for pair in summary.worst:
        row, piece = divmod(pair.train, len(written))
        train = read_some(written[piece], "train", [row])[row]
        held_out = _held_out_row(written, pair.held_out)
        note = f"training shows {pair.containment:.2f} of it, in {train.source}; likeness {pair.likeness:.2f}"
        samples.take("held out, and seen in training", held_out.source, held_out.text, train.text, note)


def _held_out_row(written: Sequence[Path], number: int) -> Row:
    """Read one of the documents that are held out, by its number among them."""
    for name in HELD_OUT:
        for place in written:
            count = storage.manifest(place, WORK).facts[name]["documents"]
            if number < count:
                return read_some(place, name, [number])[number]
            number -= count
    raise AssertionError("documents that are held out are numbered by what was written")


def _open(place: Path, config: CorpusConfig) -> HeldOut:
    return HeldOut(*open_sets(place), Sample.read(place), config.leakage)


def _held_out(written: Sequence[Path]) -> Iterator[Document]:
    """Yield the documents that are held out, in the order in which they are numbered."""
    for name in HELD_OUT:
        for place in written:
            yield from read_documents(place, name)
