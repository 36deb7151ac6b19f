"""Find the documents that are nearly the same: candidates by shared signatures, each pair then compared exactly.

```
signatures of each piece -> candidates, a band and key range at a time -> pairs -> sets of the documents in pairs
-> Jaccard and containment of each pair
```
Texts made from one template come to some thirty candidates a document, so that no step holds all pairs: they are files,
and only those that are alike are read whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.bits import Bits
from textus.corpus.duplicates.candidates import candidate_pairs, merged, num_ranges, range_of
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.duplicates.verify import Overlaps, Shingles, overlaps
from textus.corpus.steps.measure import BANDS
from textus.corpus.steps.sets import copy_sets, open_sets, read_offsets
from textus.corpus.steps.table import Measured

VERSION = 3
"""Raised whenever the files of these steps change."""
_PAIRS, _OVERLAPS, _IN_PAIRS = "pairs.u64", "overlaps.npy", "in_pairs.npy"
PAIR_BYTES = 4000
"""About how much text is looked at to compare a pair."""
_FEW = 2_000_000
"""Signatures that are not worth a task each."""
_ROWS = "rows.npy"
_MANY = 2_000_000
"""Pairs that are looked at together."""
_BYTES_PER_PAIR = 64
"""What comparing a pair takes beside the sets of its documents."""
_LOW, _HIGH = np.uint64(2**32 - 1), np.uint64(32)
Packed = NDArray[np.uint64]
"""Pairs in order, the first document in the upper half of each number."""


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
    packed: Packed = (pairs[:, 0].astype(np.uint64) << _HIGH) | pairs[:, 1].astype(np.uint64)
    (place / _PAIRS).write_bytes(packed.data)
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
    # Pairs come on top of keys: up to nine of a document in each band.
    parts, at_once = num_ranges(count, memory_bytes // 3), max(1, _FEW // count)
    bands = [tuple(range(start, min(start + at_once, config.bands))) for start in range(0, config.bands, at_once)]
    return [Search(pieces, first, some, part, parts, config) for some in bands for part in range(parts)]


def search_bytes(search: Search) -> float:
    """Return about how much work a search is, in bytes."""
    return 8.0 * search.pieces[-1].stop * len(search.bands) / search.parts


def join(place: Path, payload: tuple[Sequence[Path], int]) -> Mapping[str, Any]:
    """Write the candidate pairs of all bands, each once, in order, and which of so many documents are in any."""
    found, documents = payload
    parts = [_open(path) for path in found]
    in_pairs, count = Bits(documents), 0
    with (place / _PAIRS).open("wb") as file:
        for first, behind in pairwise(_borders(parts)):
            inside = (part[slice(*np.searchsorted(part, np.array([first, behind], np.uint64)))] for part in parts)
            packed = np.unique(np.concatenate([np.zeros(0, np.uint64), *inside]))
            file.write(packed.data)  # `tofile` says nothing of a full disk
            in_pairs.add(_unpacked(packed).ravel())
            count += len(packed)
    np.save(place / _IN_PAIRS, in_pairs.bytes)
    return {"pairs": count}


def _borders(parts: Sequence[Packed]) -> list[int]:
    """Cut the pairs of all parts by their values into ranges of about `_MANY`."""
    step = max(1, _MANY // 1000)
    sample = np.sort(np.concatenate([np.zeros(0, np.uint64), *(part[::step] for part in parts)]))
    inner = np.unique(sample[:: max(1, _MANY // step)][1:]).tolist()
    return [0, *inner, 2**64 - 1]


@dataclass(frozen=True)
class Spelling:
    """A piece of whose documents those in candidate pairs are spelt out as sets."""

    piece: Measured
    pairs: Path


def spell(place: Path, payload: Spelling) -> Mapping[str, Any]:
    """Write the sorted sets of the documents of a piece that are in candidate pairs."""
    piece = payload.piece
    rows = np.flatnonzero(Bits.read(payload.pairs / _IN_PAIRS).part(piece.start, piece.stop))
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
    pairs = _unpacked(_open(payload.pairs)[payload.start : payload.stop])
    numbers, places = np.unique(pairs, return_inverse=True)
    hashes, offsets = _sets(numbers, payload.spelt)
    found = overlaps(places.reshape(-1, 2), hashes, offsets)
    np.save(place / _OVERLAPS, np.stack([found.shared, found.first, found.second], axis=1).astype(np.int32))
    return {}


def cut(pairs: Path, spelt: Sequence[Path], megabytes: float) -> list[tuple[int, int]]:
    """Cut the pairs into ranges whose sets take at most so much memory together, one pair at the least."""
    packed = _open(pairs)
    most, total, borders = max(1, int(megabytes * 1e6)), 0, [0]
    for start in range(0, len(packed), _MANY):
        numbers, places = np.unique(_unpacked(packed[start : start + _MANY]), return_inverse=True)
        sizes = np.concatenate([np.diff(read_offsets(place))[at] for place, at in _spelt(numbers, spelt)])
        # 4 bytes a run, of each pair: more than its documents take.
        costs = 4 * sizes[places.reshape(-1, 2)].sum(axis=1) + _BYTES_PER_PAIR
        chunks = (total + np.cumsum(costs)) // most
        before = np.concatenate(([total // most], chunks[:-1]))
        borders += (start + np.flatnonzero(chunks != before)).tolist()
        total += int(costs.sum())
    return [(start, stop) for start, stop in pairwise([*borders, len(packed)]) if stop > start]


def _spelt(numbers: NDArray[np.int64], spelt: Sequence[Path]) -> Iterator[tuple[Path, NDArray[np.int64]]]:
    """Yield the places that spelt out some documents, in order, each with the rows of its own."""
    for place in spelt:
        rows = np.load(place / _ROWS, mmap_mode="r")
        if not len(rows):
            continue
        own = numbers[np.searchsorted(numbers, rows[0]) : np.searchsorted(numbers, rows[-1], "right")]
        if len(own):
            yield place, np.searchsorted(rows, own)


def _sets(numbers: NDArray[np.int64], spelt: Sequence[Path]) -> tuple[Shingles, NDArray[np.int64]]:
    """Gather the sets of some documents, in order, from the pieces that spelt them out."""
    parts: list[Shingles] = []
    sizes: list[NDArray[np.int64]] = [np.zeros(1, np.int64)]
    for place, at in _spelt(numbers, spelt):
        hashes, offsets = open_sets(place)
        parts += [np.asarray(hashes[offsets[index] : offsets[index + 1]]) for index in at]
        sizes.append(offsets[at + 1] - offsets[at])
    return np.concatenate(parts or [np.zeros(0, np.uint32)]), np.cumsum(np.concatenate(sizes))


@dataclass(frozen=True)
class Edges:
    """Some pairs of documents that are alike, and what each has in common."""

    pairs: NDArray[np.int64]
    overlaps: Overlaps

    def where(self, which: NDArray[np.bool_]) -> Edges:
        """Return some of the edges."""
        found = self.overlaps
        return Edges(self.pairs[which], Overlaps(found.shared[which], found.first[which], found.second[which]))


@dataclass(frozen=True)
class Alike:
    """All pairs that are alike enough for any threshold, in files."""

    pairs: Path
    compared: tuple[Path, ...]
    config: DuplicatesConfig
    at_once: int
    """How many pairs are looked at together."""

    def __len__(self) -> int:
        """Return how many pairs these are chosen from."""
        return len(_open(self.pairs))

    def __iter__(self) -> Iterator[Edges]:
        packed, start, config = _open(self.pairs), 0, self.config
        for place in self.compared:
            found = np.load(place / _OVERLAPS, mmap_mode="r")
            for first in range(0, len(found), self.at_once):
                rows = np.array(found[first : first + self.at_once], np.int64)
                own = Overlaps(*rows.T)
                alike = own.jaccard >= min(config.threshold, config.related)
                if config.containment > 0:
                    alike |= own.containment >= config.containment
                if alike.any():
                    pairs = _unpacked(packed[start + first : start + first + len(rows)][alike])
                    yield Edges(pairs, Overlaps(*rows[alike].T))
            start += len(found)


def _open(place: Path) -> Packed:
    """Return the pairs of a step, mapped into memory."""
    path = place / _PAIRS
    return np.memmap(path, np.uint64, "r") if path.stat().st_size else np.zeros(0, np.uint64)


def _unpacked(packed: Packed) -> NDArray[np.int64]:
    """Return pairs as rows of two document numbers."""
    return np.stack((packed >> _HIGH, packed & _LOW), axis=1).astype(np.int64)
