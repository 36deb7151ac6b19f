"""Find the passages that several documents have: anchors in each piece, then whole windows where an anchor repeats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import TextBatch, batches
from textus.corpus.document import Document
from textus.corpus.passages.config import PassagesConfig
from textus.corpus.passages.passages import Windows, anchors, joined, repeated_anchors, stretched, verified, windows
from textus.corpus.sorting import Sorter, starts_of, whole
from textus.corpus.steps.cuts import save_sorted
from textus.corpus.steps.ledger import read_choices
from textus.corpus.steps.measure import DOCUMENTS
from textus.corpus.steps.table import Measured
from textus.corpus.store import read_documents

_ANCHORS, _WINDOWS, _REPEATED = "anchors.npy", "windows.npy", "repeated.npy"
_HELD_PIECES = 2
_ANCHOR_BYTES = 96
"""An anchor's hash, document and start (24), its place in their order (8), both sorted, and what sorting takes."""


@dataclass(frozen=True)
class Look:
    """A piece whose kept documents are looked at, for the first time or for the second."""

    piece: Measured
    decisions: Path
    group: int
    config: PassagesConfig
    repeated: Path | None = None
    """Where the repeated anchors are, for the second look."""


def anchor(place: Path, look: Look) -> Mapping[str, Any]:
    """Write the anchors of a piece, in the order of their hashes."""
    found = joined([anchors(batch, look.config).shifted(first) for first, batch in _kept(look)])
    _save(place / _ANCHORS, found.sorted())
    return {"anchors": len(found)}


@dataclass(frozen=True)
class Repeating:
    """The anchors of all pieces, of which those are wanted that more than one document has."""

    anchored: tuple[Path, ...]
    memory_bytes: int


def repeat(place: Path, payload: Repeating) -> Mapping[str, Any]:
    """Write the hashes of the anchors that more than one document has, in order."""
    files = [np.load(path / _ANCHORS, mmap_mode="r") for path in payload.anchored]
    parts = 1 + sum(len(rows) for rows in files) * _ANCHOR_BYTES // payload.memory_bytes
    borders = np.array([number * 2**64 // parts for number in range(1, parts)], np.uint64)
    cuts = [[0, *np.searchsorted(rows[:, 0], borders).tolist(), len(rows)] for rows in files]
    found = [np.zeros(0, np.uint64)]
    for part in range(parts):  # equal hashes are in one range
        own = [_windows(rows[cut[part] : cut[part + 1]]) for rows, cut in zip(files, cuts, strict=True)]
        found.append(repeated_anchors(joined(own).sorted()))
    hashes = np.concatenate(found)
    np.save(place / _REPEATED, hashes)
    return {"anchors": len(hashes)}


def window(place: Path, look: Look) -> Mapping[str, Any]:
    """Write all windows of a piece around repeated anchors."""
    assert look.repeated is not None
    repeated = np.load(look.repeated / _REPEATED, mmap_mode="r")
    found = joined([windows(batch, repeated, look.config).shifted(first) for first, batch in _kept(look)])
    _save(place / _WINDOWS, found)
    return {"windows": len(found)}


@dataclass(frozen=True)
class Finding:
    """The windows of all pieces, of which passages are made."""

    windowed: tuple[Path, ...]
    pieces: tuple[Measured, ...]
    decisions: Path
    config: PassagesConfig
    memory_bytes: int


def find(place: Path, payload: Finding) -> Mapping[str, Any]:
    """Write the passages that a document repeats of one that comes before it; those held out come first.

    What is held out keeps its passages and training loses them, so that nothing is measured on that was learnt.
    """
    count, text_of = payload.pieces[-1].stop, _texts(payload.pieces)
    is_cut = payload.config.action in ("remove", "mask")
    passages = documents = words = 0
    with TemporaryDirectory(dir=place) as folder:
        cuts = Sorter(Path(folder), columns=3, keys=3, memory_bytes=payload.memory_bytes // 4)
        for block in whole(_later(payload, Path(folder))):
            later, starts, first_documents, first_starts = block.astype(np.int64)
            found = stretched(later, starts, first_documents, first_starts, payload.config.minimum_words)
            found = found.where(verified(found, lambda number: text_of(number % count)))
            passages, words = passages + len(found), words + int((found.ends - found.starts).sum())
            documents += len(np.unique(found.documents))
            if is_cut:
                cuts.append(found.documents % count, found.starts, found.ends)
        save_sorted(place, cuts)
    return {"passages": passages, "documents": documents, "words": words, "cuts": len(cuts)}


def _later(payload: Finding, folder: Path) -> Sorter:
    """Return the windows that a document before has: document and start, that document, and the start there.

    Documents that are held out keep their number; the others come after all of them.
    """
    count = payload.pieces[-1].stop
    every = Sorter(folder, columns=3, keys=3, memory_bytes=payload.memory_bytes // 2)
    for group, (piece, path) in enumerate(zip(payload.pieces, payload.windowed, strict=True)):
        found = _windows(np.load(path / _WINDOWS))
        _, splits = read_choices(payload.decisions, group)
        is_learnt = np.array([split == "train" for split in splits], bool)
        every.append(found.hashes, found.texts + count * is_learnt[found.texts - piece.start], found.starts)
    later = Sorter(folder, columns=4, keys=1, memory_bytes=payload.memory_bytes // 2)
    before: tuple[int, ...] | None = None
    first = np.zeros((2, 1), np.uint64)
    for block in every:
        is_new = starts_of(block[:1], before)
        first = np.concatenate((first[:, -1:], block[1:, is_new]), axis=1)[:, np.cumsum(is_new)]
        is_later = block[1] != first[0]
        later.append(*block[1:, is_later], *first[:, is_later])
        before = (int(block[0, -1]),)
    every.discard()
    return later


def _kept(look: Look) -> Iterator[tuple[int, TextBatch]]:
    """Yield kept documents in batches, those dropped as empty texts, each with the number of its first."""
    reasons, _ = read_choices(look.decisions, look.group)
    documents = read_documents(look.piece.place, DOCUMENTS)
    first = look.piece.start
    blanked = (
        Document("" if reason else document.text, document.source)
        for document, reason in zip(documents, reasons, strict=True)
    )
    for group in batches(blanked):
        yield first, TextBatch([document.text for document in group])
        first += len(group)


def _texts(pieces: tuple[Measured, ...]) -> Any:
    """Return a function from a document's number to its text; it holds the texts of a few pieces."""
    starts = np.array([piece.start for piece in pieces])

    @lru_cache(_HELD_PIECES)
    def piece_texts(index: int) -> list[str]:
        return [document.text for document in read_documents(pieces[index].place, DOCUMENTS)]

    def text_of(number: int) -> str:
        index = int(np.searchsorted(starts, number, "right")) - 1
        return piece_texts(index)[number - pieces[index].start]

    return text_of


def _save(path: Path, found: Windows) -> None:
    rows = np.stack((found.hashes, found.texts.astype(np.uint64), found.starts.astype(np.uint64)), axis=1)
    np.save(path, rows)


def _windows(rows: NDArray[np.uint64]) -> Windows:
    hashes, texts, starts = np.array(rows).T
    return Windows(np.ascontiguousarray(hashes), texts.astype(np.int64), starts.astype(np.int64))
