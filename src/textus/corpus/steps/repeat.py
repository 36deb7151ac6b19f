"""Find the passages that several documents have: anchors in each piece, then whole windows where an anchor repeats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import TextBatch, batches
from textus.corpus.document import Document
from textus.corpus.passages.config import PassagesConfig
from textus.corpus.passages.passages import Windows, anchors, joined, passages, repeated_anchors, verified, windows
from textus.corpus.steps.cuts import save_cuts
from textus.corpus.steps.ledger import Decision, read_decisions
from textus.corpus.steps.measure import DOCUMENTS
from textus.corpus.steps.table import Measured
from textus.corpus.store import read_documents

_ANCHORS, _WINDOWS, _REPEATED = "anchors.npy", "windows.npy", "repeated.npy"
_HELD_PIECES = 2


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


def repeat(place: Path, anchored: tuple[Path, ...]) -> Mapping[str, Any]:
    """Write the hashes of the anchors that more than one document has."""
    found = repeated_anchors(joined([_load(path / _ANCHORS) for path in anchored]).sorted())
    np.save(place / _REPEATED, found)
    return {"anchors": len(found)}


def window(place: Path, look: Look) -> Mapping[str, Any]:
    """Write all windows of a piece around repeated anchors."""
    assert look.repeated is not None
    repeated = np.load(look.repeated / _REPEATED)
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


def find(place: Path, payload: Finding) -> Mapping[str, Any]:
    """Write the passages that a document repeats of one that comes before it; those held out come first.

    What is held out keeps its passages and training loses them, so that nothing is measured on that was learnt.
    """
    groups = enumerate(payload.pieces)
    held_out = np.concatenate([_held_out(read_decisions(payload.decisions, group)) for group, _ in groups])
    order = np.argsort(~held_out, kind="stable")
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    found = joined([_load(path / _WINDOWS) for path in payload.windowed])
    ordered = Windows(found.hashes, places[found.texts], found.starts).sorted()
    repeats = passages(ordered, payload.config)
    text_of = _texts(payload.pieces)
    repeats = repeats.where(verified(repeats, lambda number: text_of(int(order[number]))))
    documents = order[repeats.documents].tolist()
    rows = zip(documents, repeats.starts.tolist(), repeats.ends.tolist(), strict=True)
    cuts = save_cuts(place, rows if payload.config.action in ("remove", "mask") else ())
    words = int((repeats.ends - repeats.starts).sum())
    return {"passages": len(repeats), "documents": len(set(documents)), "words": words, "cuts": cuts}


def _kept(look: Look) -> Iterator[tuple[int, TextBatch]]:
    """Yield kept documents in batches, those dropped as empty texts, each with the number of its first."""
    decisions = read_decisions(look.decisions, look.group)
    documents = read_documents(look.piece.place, DOCUMENTS)
    first = look.piece.start
    blanked = (
        Document("" if decision.reason else document.text, document.source)
        for document, decision in zip(documents, decisions, strict=True)
    )
    for group in batches(blanked):
        yield first, TextBatch([document.text for document in group])
        first += len(group)


def _held_out(decisions: list[Decision]) -> NDArray[np.bool_]:
    return np.array([decision.split != "train" for decision in decisions], bool)


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


def _load(path: Path) -> Windows:
    hashes, texts, starts = np.load(path).T
    return Windows(np.ascontiguousarray(hashes), texts.astype(np.int64), starts.astype(np.int64))
