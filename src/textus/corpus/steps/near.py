"""Find the documents that are nearly the same: candidates by shared signatures, each pair then compared exactly.

```
signatures of each piece -> candidates, a band and key range at a time -> pairs -> sets of the documents in pairs
-> Jaccard and containment of each pair
```
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.duplicates.candidates import candidate_pairs, merged, num_ranges, range_of
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.duplicates.verify import Overlaps, Shingles, overlaps
from textus.corpus.steps.measure import BANDS
from textus.corpus.steps.sets import copy_sets, open_sets, read_offsets
from textus.corpus.steps.table import Measured

PAIRS, OVERLAPS = "pairs.npy", "overlaps.npy"
PAIR_BYTES = 4000
"""About how much text is looked at to compare a pair."""
_FEW = 2_000_000
"""Signatures that are not worth a task each."""
_ROWS = "rows.npy"


@dataclass(frozen=True)
class Search:
    """Some bands and a key range to be searched for documents of equal signature."""

    pieces: tuple[Measured, ...]
    first: Path
    """A file that tells of each document whether it stands for its exact duplicates, itself among them."""
    bands: tuple[int, ...]
    part: int
    parts: int
    """Which of how many equal ranges of keys."""
    config: DuplicatesConfig


def search(place: Path, payload: Search) -> Mapping[str, Any]:
    """Write the candidate pairs of some bands and a range, as numbers of documents."""
    pairs = merged(_found(payload, band) for band in payload.bands)
    np.save(place / PAIRS, pairs)
    return {"pairs": len(pairs)}


def _found(payload: Search, band: int) -> NDArray[np.int64]:
    is_first = np.load(payload.first, mmap_mode="r")
    keys: list[NDArray[np.uint64]] = []
    numbers: list[NDArray[np.int64]] = []
    for piece in payload.pieces:
        own = np.load(piece.place / BANDS, mmap_mode="r")[band]
        in_part = range_of(own, payload.parts) == payload.part
        chosen = np.flatnonzero(is_first[piece.start : piece.stop] & in_part)
        keys.append(own[chosen])
        numbers.append(chosen + piece.start)
    return candidate_pairs(np.concatenate(keys), np.concatenate(numbers), payload.config)


def plan_searches(
    pieces: tuple[Measured, ...], first: Path, config: DuplicatesConfig, memory_bytes: int
) -> list[Search]:
    """Cut the search by key ranges that fit into memory, and put bands together where they hold few documents."""
    count = pieces[-1].stop
    parts, at_once = num_ranges(count, memory_bytes), max(1, _FEW // count)
    bands = [tuple(range(start, min(start + at_once, config.bands))) for start in range(0, config.bands, at_once)]
    return [Search(pieces, first, some, part, parts, config) for some in bands for part in range(parts)]


def search_bytes(search: Search) -> float:
    """Return about how much work a search is, in bytes."""
    return 8.0 * search.pieces[-1].stop * len(search.bands) / search.parts


def join(place: Path, payload: Sequence[Path]) -> Mapping[str, Any]:
    """Write the candidate pairs of all bands, each once, in order."""
    found = np.zeros((0, 2), np.int64)
    for path in payload:
        found = merged([found, np.load(path / PAIRS)])
    np.save(place / PAIRS, found)
    return {"pairs": len(found)}


@dataclass(frozen=True)
class Spelling:
    """A piece of whose documents those in candidate pairs are spelt out as sets."""

    piece: Measured
    pairs: Path


def spell(place: Path, payload: Spelling) -> Mapping[str, Any]:
    """Write the sorted sets of the documents of a piece that are in candidate pairs."""
    piece = payload.piece
    pairs = np.load(payload.pairs / PAIRS, mmap_mode="r")
    rows = np.unique(pairs[(pairs >= piece.start) & (pairs < piece.stop)]) - piece.start
    copy_sets(place, piece.place, rows)
    np.save(place / _ROWS, rows + piece.start)
    return {"documents": len(rows)}


@dataclass(frozen=True)
class Comparison:
    """Some of the candidate pairs, to be compared exactly."""

    pairs: Path
    start: int
    stop: int
    spelt: tuple[Path, ...]


def compare(place: Path, payload: Comparison) -> Mapping[str, Any]:
    """Write how much some pairs have in common: a row of three numbers each."""
    pairs = np.load(payload.pairs / PAIRS, mmap_mode="r")[payload.start : payload.stop]
    numbers, places = np.unique(pairs, return_inverse=True)
    hashes, offsets = _sets(numbers, payload.spelt)
    found = overlaps(places.reshape(-1, 2), hashes, offsets)
    np.save(place / OVERLAPS, np.stack([found.shared, found.first, found.second], axis=1))
    return {}


def cut(pairs: Path, spelt: Sequence[Path], megabytes: float) -> list[tuple[int, int]]:
    """Cut the pairs into ranges whose sets take at most so much memory together, one pair at the least."""
    found = np.load(pairs / PAIRS, mmap_mode="r")
    numbers = np.concatenate([np.load(place / _ROWS) for place in spelt]) if spelt else np.zeros(0, np.int64)
    sizes = [np.diff(read_offsets(place)) for place in spelt]
    size = np.concatenate(sizes) if sizes else np.zeros(0, np.int64)
    # Numbers of documents rise from piece to piece. 4 bytes a run, of each pair: more than its documents take together.
    costs = 4 * size[np.searchsorted(numbers, found)].sum(axis=1) if len(found) else np.zeros(0, np.int64)
    chunk = np.cumsum(costs) // max(1, int(megabytes * 1e6))
    borders = [0, *(np.flatnonzero(np.diff(chunk)) + 1).tolist(), len(found)]
    return [(start, stop) for start, stop in pairwise(borders) if stop > start]


def _sets(numbers: NDArray[np.int64], spelt: Sequence[Path]) -> tuple[Shingles, NDArray[np.int64]]:
    """Gather the sets of some documents, in order, from the pieces that spelt them out."""
    parts: list[Shingles] = []
    sizes: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]
    for place in spelt:
        rows = np.load(place / _ROWS)
        if not len(rows):
            continue
        own = numbers[np.searchsorted(numbers, rows[0]) : np.searchsorted(numbers, rows[-1], "right")]
        at = np.searchsorted(rows, own)
        hashes, offsets = open_sets(place)
        parts += [np.asarray(hashes[offsets[index] : offsets[index + 1]]) for index in at]
        sizes.append(offsets[at + 1] - offsets[at])
    return np.concatenate(parts or [np.zeros(0, np.uint32)]), np.cumsum(np.concatenate(sizes))


@dataclass(frozen=True)
class Edges:
    """The candidate pairs, and what each has in common."""

    pairs: NDArray[np.int64]
    overlaps: Overlaps

    def where(self, which: NDArray[np.bool_]) -> Edges:
        """Return some of the edges."""
        found = self.overlaps
        return Edges(self.pairs[which], Overlaps(found.shared[which], found.first[which], found.second[which]))


def read_edges(pairs: Path, compared: Sequence[Path]) -> Edges:
    """Read the pairs and what the comparisons of all their ranges found."""
    found = [np.zeros((0, 3), np.int64), *(np.load(place / OVERLAPS) for place in compared)]
    shared, first, second = np.concatenate(found).T
    return Edges(np.load(pairs / PAIRS), Overlaps(shared, first, second))
