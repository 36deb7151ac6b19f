"""Find the lines that many documents share: counted in each piece, added up over all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textus.corpus.passages.boilerplate import CandidateLines, LineCounts, counted, merged, repeated_lines
from textus.corpus.passages.config import BoilerplateConfig
from textus.corpus.steps.measure import LINES
from textus.corpus.steps.table import Measured

REPEATED = "repeated.npy"
_KEYS, _COUNTS = "keys.npy", "counts.npy"
_BYTES_PER_LINE = 64
"""A key and its count (16), sorted (16), their order (8), and what sorting takes."""


@dataclass(frozen=True)
class Counting:
    """A piece whose lines are counted: those of documents that stand for their exact duplicates."""

    piece: Measured
    first: Path


def count_lines(place: Path, payload: Counting) -> Mapping[str, Any]:
    """Write the keys of a piece's lines in order, and how many documents have each."""
    piece = payload.piece
    is_first = np.load(payload.first, mmap_mode="r")[piece.start : piece.stop]
    lines = lines_of(piece)
    found = counted(lines.keys[np.repeat(is_first, lines.numbers)])
    np.save(place / _KEYS, found.keys)
    np.save(place / _COUNTS, found.documents)
    return {"documents": int(is_first.sum()), "lines": len(found.keys)}


def lines_of(piece: Measured) -> CandidateLines:
    """Return the lines of a piece's documents that could be boilerplate."""
    with np.load(piece.place / LINES) as file:
        return CandidateLines(**file)


@dataclass(frozen=True)
class Adding:
    """What is added up to find repeated lines."""

    counted: tuple[Path, ...]
    documents: int
    config: BoilerplateConfig
    memory_bytes: int


def add_lines(place: Path, payload: Adding) -> Mapping[str, Any]:
    """Write the keys of the lines that enough documents have, a range of keys at a time."""
    sums = _ranges(payload.counted, payload.memory_bytes)
    found = np.concatenate([repeated_lines(counts, payload.documents, payload.config) for counts in sums])
    np.save(place / REPEATED, found)
    return {"lines": len(found)}


def _ranges(counted: Sequence[Path], memory_bytes: int) -> Iterator[LineCounts]:
    """Yield the sums of all pieces for one range of keys after the other; all together need not fit into memory."""
    files = [(np.load(place / _KEYS, mmap_mode="r"), np.load(place / _COUNTS, mmap_mode="r")) for place in counted]
    parts = 1 + sum(len(keys) for keys, _ in files) * _BYTES_PER_LINE // memory_bytes
    borders = [number * 2**64 // parts for number in range(1, parts)]
    cuts = [[0, *np.searchsorted(keys, np.array(borders, np.uint64)).tolist(), len(keys)] for keys, _ in files]
    for part in range(parts):
        yield merged(
            LineCounts(np.asarray(keys[cut[part] : cut[part + 1]]), np.asarray(counts[cut[part] : cut[part + 1]]))
            for (keys, counts), cut in zip(files, cuts, strict=True)
        )
