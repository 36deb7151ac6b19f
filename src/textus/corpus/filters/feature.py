"""What a measure of a text is, and how one number a text is got from characters, words or lines of many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index, TextBatch

Column = NDArray[Any]
"""One number a text."""
Mask = NDArray[np.bool_]

GOPHER = "Gopher (Rae et al. 2021)"
C4 = "C4 (Raffel et al. 2020)"
FINEWEB = "FineWeb (Penedo et al. 2024)"
CODE = "StarCoder 2 (Lozhkov et al. 2024)"
OURS = "Textus"


@dataclass(frozen=True)
class Feature:
    """Declare a measure: what it is, who thought of it, and what to call a text that has too little or too much."""

    name: str
    definition: str
    source: str
    unit: Literal["count", "share", "ratio", "characters"]
    """A count is a whole number; a share lies between 0 and 1; shares and ratios of nothing are NaN."""
    low: str = ""
    """Name of the reason when a text has too little of it."""
    high: str = ""
    """Name of the reason when it has too much."""

    @property
    def dtype(self) -> type[np.generic]:
        """Return the type of its column."""
        return np.int64 if self.unit == "count" else np.float32


def count_at(places: Index, starts: Index) -> Index:
    """Count how many of some ordered places lie from each start to the next."""
    return np.diff(np.searchsorted(places, starts))


def count_true(mask: Mask, starts: Index) -> Index:
    """Count the true values of a mask from each start to the next; of few, `count_at` of their places is as fast.

    Packed to bits, 64 values are counted at once, and those of a start's own 64 that stand before it apart.
    """
    bits = np.zeros(-(-len(mask) // 64) * 8 + 8, np.uint8)
    packed = np.packbits(mask, bitorder="little")
    bits[: len(packed)] = packed
    words = bits.view("<u8")
    before = np.zeros(len(words) + 1, np.int64)
    np.cumsum(np.bitwise_count(words), out=before[1:])
    word, bit = starts >> 6, (starts & 63).astype(np.uint64)
    found: Index = np.diff(before[word] + np.bitwise_count(words[word] & ((np.uint64(1) << bit) - np.uint64(1))))
    return found


def total(values: NDArray[Any], offsets: Index) -> Index:
    """Add up the whole numbers from each offset to the next."""
    sums = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=sums[1:])
    return sums[offsets[1:]] - sums[offsets[:-1]]


def most(values: NDArray[Any], offsets: Index) -> Index:
    """Return the greatest value from each offset to the next, 0 where there is none."""
    greatest = np.zeros(len(offsets) - 1, np.int64)
    some = np.flatnonzero(np.diff(offsets))
    if len(some):
        greatest[some] = np.maximum.reduceat(values, offsets[some])
    return greatest


def per(parts: Column, wholes: Column) -> NDArray[np.float32]:
    """Divide text by text; what is divided by nothing is NaN."""
    quotients = np.full(len(parts), np.nan)
    np.divide(parts, wholes, out=quotients, where=wholes != 0)
    return quotients.astype(np.float32)


def runs_at(places: Index) -> tuple[Index, Index]:
    """Return where each run of neighbours among ordered places starts, and how long it is."""
    begins = np.ones(len(places), bool)
    begins[1:] = np.diff(places) > 1
    first = np.flatnonzero(begins)
    return places[first], np.diff(np.append(first, len(places)))


def signs(batch: TextBatch, characters: str) -> Index:
    """Return where any of a few signs of punctuation stand."""
    places, codes = batch.signs
    return places[any_of(codes, characters)]


def any_of(codes: NDArray[np.uint32], characters: str) -> Mask:
    """Tell which characters are among a few."""
    found = np.zeros(len(codes), bool)
    for character in characters:
        found |= codes == ord(character)
    return found
