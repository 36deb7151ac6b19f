"""Find the documents that say the same in other words: embeddings of each piece, then all that stay held together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus import storage
from textus.corpus.batch import batches
from textus.corpus.duplicates.config import SemanticConfig
from textus.corpus.duplicates.semantic import Alike, Embed, embedded, random_cosines, scaled, semantic_repeats
from textus.corpus.steps.exact import standing
from textus.corpus.steps.ledger import read_choices
from textus.corpus.steps.measure import DOCUMENTS
from textus.corpus.steps.table import Measured
from textus.corpus.store import read_documents
from textus.corpus.work.task import KIND
from textus.errors import CorpusError

_VECTORS, _ALIKE = "vectors.f16", "alike.npz"
_ROWS = 8192
_RANDOM_PAIRS = 1000


@dataclass(frozen=True)
class Embedding:
    """A model that tells what texts mean; it is given from above, for nothing here knows models."""

    key: str
    """Tells the model from others."""
    embed: Embed


@dataclass(frozen=True)
class Embedded:
    """A piece to be embedded."""

    piece: Measured
    embed: Embed


def embed(place: Path, payload: Embedded) -> Mapping[str, Any]:
    """Write the embedding of each text of a piece, equal ones once, in half precision: a cosine is off by some 0.0001.

    Nothing of other pieces plays a part, so that a new file among many embeds nothing else again.
    """
    piece, wanted = payload.piece, _distinct(payload.piece).is_first
    count = size = 0
    with (place / _VECTORS).open("wb") as file:
        for group in batches(compress(read_documents(piece.place, DOCUMENTS), wanted)):
            rows = embedded([document.text for document in group], payload.embed)
            file.write(rows.astype(np.float16).data)  # `tofile` says nothing of a full disk
            count, size = count + len(rows), _width(rows, size)
    return {"documents": count, "size": size}


@dataclass(frozen=True)
class Search:
    """All that stays, to be searched for what means the same."""

    pieces: tuple[Measured, ...]
    embedded: tuple[Path, ...]
    decisions: Path
    first: Path
    """Where it is told how documents are preferred."""
    config: SemanticConfig


def find(place: Path, payload: Search) -> Mapping[str, Any]:
    """Write which documents are like one that is kept before them, and that one."""
    scratch = place / "scratch"
    numbers, size = _gathered(scratch, payload)
    vectors = np.memmap(scratch, np.float16, "r", shape=(len(numbers), size)) if size else np.zeros((0, 1), np.float16)
    places = np.empty(len(numbers), np.int64)
    places[np.argsort(standing(payload.first).take(numbers), kind="stable")] = np.arange(len(numbers))
    found = semantic_repeats(vectors, places, payload.config)
    by_chance = random_cosines(vectors, _RANDOM_PAIRS, payload.config.seed)
    del vectors
    scratch.unlink()
    np.savez(place / _ALIKE, documents=numbers[found.documents], matches=numbers[found.matches], cosines=found.cosines)
    facts: dict[str, Any] = {"compared": len(numbers), "alike": len(found.documents)}
    if len(by_chance):
        facts["by chance, middle"], facts["by chance, one in a hundred"] = (
            round(float(by_chance[int(share * (len(by_chance) - 1))]), 3) for share in (0.5, 0.99)
        )
    return facts


def read_alike(place: Path) -> Alike:
    """Read which documents are to be dropped for meaning the same as another."""
    with np.load(place / _ALIKE) as rows:
        return Alike(rows["documents"], rows["matches"], rows["cosines"])


def facts_of(place: Path) -> Mapping[str, Any]:
    """Return how many documents were compared, and what cosines pairs drawn by chance have."""
    return storage.manifest(place, KIND).facts


def _gathered(scratch: Path, payload: Search) -> tuple[NDArray[np.int64], int]:
    """Put the rows of all documents that stay into one file; return their numbers and the size of a row."""
    numbers, size, total = [np.zeros(0, np.int64)], 0, np.zeros(1)
    for own in _kept_rows(payload):
        size = _width(own.rows, size)
        numbers.append(own.numbers)
        total = total + own.rows.sum(axis=0, dtype=np.float64)
    found = np.concatenate(numbers)
    centre = (total / max(1, len(found))).astype(np.float32) * payload.config.centred
    with scratch.open("wb") as file:
        for own in _kept_rows(payload):
            # What has no direction, as an empty text, gets none by the centre's being taken away.
            rows = np.where(own.rows.any(axis=1, keepdims=True), own.rows.astype(np.float32) - centre, 0)
            file.write(scaled(rows).astype(np.float16).data)
    return found, size


def _width(rows: NDArray[Any], before: int) -> int:
    """Return how many numbers a row has, as rows before had."""
    width: int = rows.shape[1]
    if before not in (0, width):
        raise CorpusError(
            f"embeddings of {before} and of {width} numbers", hint="check the function that makes embeddings"
        )
    return width


@dataclass(frozen=True)
class _Distinct:
    """The texts of a piece without copies, in the order in which they come."""

    is_first: NDArray[np.bool_]
    """Of each document: whether its text has not come before."""
    rows: NDArray[np.int64]
    """Of each document: the number of its text."""


def _distinct(piece: Measured) -> _Distinct:
    columns = piece.columns(("digest", "digest_rest"))
    digests = np.stack((columns["digest"], columns["digest_rest"]), axis=1)
    _, first, inverse = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    is_first, places = np.zeros(len(digests), bool), np.empty(len(first), np.int64)
    is_first[first] = True
    places[np.argsort(first)] = np.arange(len(first))
    return _Distinct(is_first, places[inverse.ravel()])


@dataclass(frozen=True)
class _Rows:
    numbers: NDArray[np.int64]
    rows: NDArray[np.float16]


def _kept_rows(payload: Search) -> Iterator[_Rows]:
    """Yield the rows of documents that stay, some thousand at a time."""
    for group, (piece, place) in enumerate(zip(payload.pieces, payload.embedded, strict=True)):
        facts = facts_of(place)
        if not facts["documents"]:
            continue
        reasons, _ = read_choices(payload.decisions, group)
        rows, stays = _distinct(piece).rows, np.flatnonzero([not reason for reason in reasons])
        vectors = np.memmap(place / _VECTORS, np.float16, "r", shape=(facts["documents"], facts["size"]))
        for start in range(0, len(stays), _ROWS):
            chosen = stays[start : start + _ROWS]
            yield _Rows(chosen + piece.start, np.asarray(vectors[rows[chosen]]))
