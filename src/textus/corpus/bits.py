"""A yes or no about each of many documents, in an eighth of a byte: what may be held of all of them at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index

Mask = NDArray[np.bool_]
_CHUNK = 1 << 20


class Bits:
    """A set of numbers below `count`.

    >>> bits = Bits(20)
    >>> bits.add(np.array([3, 19, 3, 4]))
    >>> bits.remove(np.array([4, 5]))
    >>> bits[np.array([3, 4, 19])].tolist(), bits.count(), np.flatnonzero(bits.part(2, 20)).tolist()
    ([True, False, True], 2, [1, 17])
    """

    def __init__(self, count: int) -> None:
        self.bytes: NDArray[np.uint8] = np.zeros((count + 7) // 8, np.uint8)
        """Bit n is in byte n // 8, the lowest first."""

    @classmethod
    def read(cls, path: Path) -> Bits:
        """Map into memory the bytes that `np.save` wrote."""
        bits = cls(0)
        bits.bytes = np.load(path, mmap_mode="r")
        return bits

    def __getitem__(self, numbers: Index) -> Mask:
        """Tell of each number whether it is in."""
        found: Mask = (self.bytes[numbers >> 3] >> (numbers & 7).astype(np.uint8)) & 1 == 1
        return found

    def part(self, start: int, stop: int) -> Mask:
        """Tell of the numbers from `start` to `stop` which are in."""
        first = start // 8
        bits = np.unpackbits(self.bytes[first : (stop + 7) // 8], bitorder="little")
        found: Mask = bits[start - 8 * first : stop - 8 * first].view(bool)
        return found

    def add(self, numbers: Index) -> None:
        """Put numbers in, in any order."""
        places, masks = _by_byte(numbers)
        self.bytes[places] |= masks

    def remove(self, numbers: Index) -> None:
        """Take numbers out, in any order."""
        places, masks = _by_byte(numbers)
        self.bytes[places] &= ~masks

    def count(self) -> int:
        """Count the numbers that are in."""
        starts = range(0, len(self.bytes), _CHUNK)
        return sum(int(np.bitwise_count(self.bytes[start : start + _CHUNK]).sum(dtype=np.int64)) for start in starts)


def _by_byte(numbers: Index) -> tuple[Index, NDArray[np.uint8]]:
    """Return the bytes that numbers are in, and their bits in each."""
    numbers = np.sort(numbers)
    places = numbers >> 3
    starts = np.flatnonzero(np.diff(places, prepend=-1))
    masks = np.left_shift(np.uint8(1), (numbers & 7).astype(np.uint8))
    return places[starts], np.bitwise_or.reduceat(masks, starts) if len(starts) else masks
