"""A column of numbers on disk, one a document, of which a few are asked for at a time."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike, NDArray

from textus.corpus.batch import Index

_BLOCK = 1 << 13


class Flat:
    """Numbers in a file; nothing of it stays in memory."""

    def __init__(self, path: Path, kind: DTypeLike) -> None:
        self._path, self._kind = path, np.dtype(kind)

    def part(self, start: int, stop: int) -> NDArray[Any]:
        """Return the numbers from one place to another."""
        return np.fromfile(self._path, self._kind, stop - start, offset=start * self._kind.itemsize)

    def take(self, places: Index) -> NDArray[Any]:
        """Return the numbers at some places, in whatever order these are; a block of the file is read once."""
        order = np.argsort(places, kind="stable")
        ordered = places[order]
        found = np.empty(len(places), self._kind)
        borders = np.flatnonzero(np.diff(ordered // _BLOCK, prepend=-1)).tolist()
        for start, stop in pairwise([*borders, len(ordered)]):
            first = int(ordered[start])
            block = self.part(first, int(ordered[stop - 1]) + 1)
            found[order[start:stop]] = block[ordered[start:stop] - first]
        return found


def write_flat(file: BinaryIO, values: NDArray[Any]) -> None:
    """Write numbers behind those that are there; `tofile` says nothing of a full disk."""
    file.write(np.ascontiguousarray(values).data)


def write_header(file: BinaryIO, shape: tuple[int, ...], kind: DTypeLike) -> None:
    """Write what makes the numbers that follow a file for `np.load`."""
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(kind)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
