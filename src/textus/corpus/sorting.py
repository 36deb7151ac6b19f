"""Sort rows of numbers that need not fit into memory: sorted runs on disk, merged a little of each at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index

Rows = NDArray[np.uint64]
"""`[columns, rows]`: a table of whole numbers."""
_FIRST_ROWS = 1024
_YIELDED = 1 << 17
"""Rows that are handed out together where all are in memory."""
_OVERHEAD = 3
"""How many times its rows a run takes while it is sorted or merged."""
_LEAST_BYTES, _BYTES_PER_ROW = 100_000_000, 16
"""So much is taken before anything is written; beyond, so much of each row, which keeps runs to some tens."""


def sorting_bytes(rows: int, most: float) -> int:
    """Return how much memory is well spent on sorting tables of so many rows together; `most` is allowed.

    Writing costs little, so that a text ten times as large need not take more.

    >>> [sorting_bytes(rows, 1e9) // 1_000_000 for rows in (100, 10_000_000, 50_000_000, 10**9)]
    [100, 160, 800, 1000]
    """
    return int(min(most, max(_LEAST_BYTES, _BYTES_PER_ROW * rows)))


class Sorter:
    """Take rows in any order, and hand them out in the order of their first columns, as often as is asked, one time
    after the other.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     sorter = Sorter(Path(folder), columns=2, keys=1, memory_bytes=100)
    ...     for number in range(9, -1, -1):
    ...         sorter.append(np.array([number]), number * number)
    ...     np.concatenate(list(sorter), axis=1)[1].tolist()
    [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]
    """

    def __init__(self, folder: Path, columns: int, keys: int, memory_bytes: int) -> None:
        self._folder, self._columns, self._keys = folder, columns, keys
        self._most = max(2, memory_bytes // (_OVERHEAD * 8 * columns))
        self._rows: Rows = np.empty((columns, min(self._most, _FIRST_ROWS)), np.uint64)
        self._used, self._is_sorted = 0, True
        self._runs: list[_Run] = []

    def __len__(self) -> int:
        return self._used + sum(run.count for run in self._runs)

    def append(self, first: NDArray[Any], *others: NDArray[Any] | int) -> None:
        """Add rows by column: whole numbers of any kind, one number for a whole column, floats as `as_bits`."""
        start = 0
        while start < len(first):
            room = self._room(len(first) - start)
            part = slice(self._used, self._used + room)
            for column, values in zip(self._rows, (first, *others), strict=True):
                column[part] = values[start : start + room] if isinstance(values, np.ndarray) else values
            self._used, self._is_sorted, start = self._used + room, False, start + room

    def __iter__(self) -> Iterator[Rows]:
        if self._runs:
            if self._used:
                self._spill()
            yield from self._merged()
            return
        self._sort()
        for start in range(0, self._used, _YIELDED):
            yield self._rows[:, start : min(start + _YIELDED, self._used)]

    def discard(self) -> None:
        """Let go of all rows."""
        for run in self._runs:
            run.path.unlink()
        self._runs, self._used, self._rows = [], 0, self._rows[:, :0].copy()

    def _room(self, wanted: int) -> int:
        """Make room for some rows at the least, for as many as are wanted if memory allows; return for how many."""
        if self._used == self._most:
            self._spill()
        capacity: int = self._rows.shape[1]
        if self._used + wanted > capacity < self._most:
            capacity = min(self._most, max(2 * capacity, self._used + wanted))
            grown: Rows = np.empty((self._columns, capacity), np.uint64)
            grown[:, : self._used] = self._rows[:, : self._used]
            self._rows = grown
        return min(wanted, capacity - self._used)

    def _sort(self) -> None:
        if self._is_sorted:
            return
        used = self._rows[:, : self._used]
        if self._columns == 1:
            used[0].sort()
        else:
            order = _order(used[: self._keys])
            for column in used:
                column[:] = column[order]
        self._is_sorted = True

    def _spill(self) -> None:
        self._sort()
        path = self._new()
        with path.open("wb") as file:
            for start in range(0, self._used, _YIELDED):
                rows = self._rows[:, start : min(start + _YIELDED, self._used)]
                file.write(np.ascontiguousarray(rows.T).data)  # `tofile` says nothing of a full disk
        self._runs.append(_Run(path, self._columns, self._used))
        self._used, self._is_sorted = 0, True

    def _merged(self) -> Iterator[Rows]:
        # What is in memory was spilt, so that its room can be lent to the runs.
        self._rows = self._rows[:, :0].copy()
        step = max(1, self._most // len(self._runs))
        runs = [run.opened(step) for run in self._runs]
        if len(runs) == 1:
            while runs[0].fill(step):
                yield runs[0].take(None, self._keys)
            return
        merged = _Run(self._new(), self._columns, len(self))
        try:
            with merged.path.open("wb") as file:
                while runs:
                    ends = [run.last(self._keys) for run in runs if run.has_more]
                    parts = [run.take(min(ends) if ends else None, self._keys) for run in runs]
                    together = np.concatenate(parts, axis=1)
                    together = together[:, _order(together[: self._keys])]
                    file.write(np.ascontiguousarray(together.T).data)
                    yield together
                    runs = [run for run in runs if run.fill(step)]
        except BaseException:  # nobody wanted the rest, as where a few rows tell enough
            merged.path.unlink(missing_ok=True)
            raise
        for run in self._runs:
            run.path.unlink()
        self._runs = [merged]  # merged once, however often they are gone through

    def _new(self) -> Path:
        with NamedTemporaryFile(dir=self._folder, suffix=".run", delete=False) as file:
            return Path(file.name)


class _Run:
    """Sorted rows in a file, and the few of them that are in memory."""

    def __init__(self, path: Path, columns: int, count: int) -> None:
        self.path, self.count = path, count
        self._columns, self._read = columns, 0
        self._rows: Rows = np.empty((columns, 0), np.uint64)

    def opened(self, step: int) -> _Run:
        """Return the run from its beginning on, to be read by itself."""
        run = _Run(self.path, self._columns, self.count)
        run.fill(step)
        return run

    @property
    def has_more(self) -> bool:
        """Tell whether there are rows that are not in memory yet."""
        return self._read < self.count

    def fill(self, step: int) -> bool:
        """Read on where nothing is left in memory; return whether anything is there then."""
        if not self._rows.shape[1] and self.has_more:
            size, start = min(step, self.count - self._read), 8 * self._columns * self._read
            found = np.fromfile(self.path, np.uint64, size * self._columns, offset=start)
            self._rows = np.ascontiguousarray(found.reshape(-1, self._columns).T)
            self._read += size
        return bool(self._rows.shape[1])

    def last(self, keys: int) -> tuple[int, ...]:
        """Return the key of the last row in memory."""
        return tuple(self._rows[:keys, -1].tolist())

    def take(self, last: tuple[int, ...] | None, keys: int) -> Rows:
        """Take out of memory the rows up to a key, or all."""
        start, end = 0, self._rows.shape[1]
        for column, key in zip(self._rows[:keys], last or (), strict=False):
            own = column[start:end]
            start, end = (
                start + int(np.searchsorted(own, np.uint64(key))),
                start + int(np.searchsorted(own, np.uint64(key), "right")),
            )
        taken, self._rows = self._rows[:, :end], self._rows[:, end:]
        return taken


class Cursor:
    """Hand out the rows of a sorter by their first number, a range after the other."""

    def __init__(self, blocks: Iterable[Rows]) -> None:
        self._blocks = iter(blocks)
        self._rest: Rows | None = next(self._blocks, None)

    def up_to(self, stop: int) -> list[Rows]:
        """Return the rows below `stop` that were not handed out yet."""
        found: list[Rows] = []
        while self._rest is not None:
            end = int(np.searchsorted(self._rest[0], np.uint64(stop)))
            found.append(self._rest[:, :end])
            if end < self._rest.shape[1]:
                self._rest = self._rest[:, end:]
                break
            self._rest = next(self._blocks, None)
        return [rows for rows in found if rows.shape[1]]


def whole(blocks: Iterable[Rows]) -> Iterator[Rows]:
    """Cut the rows anew, so that all of one first number are together."""
    rest: Rows | None = None
    for rows in blocks:
        together = rows if rest is None else np.concatenate((rest, rows), axis=1)
        end = int(np.searchsorted(together[0], together[0, -1]))
        if end:
            yield together[:, :end]
        rest = together[:, end:]
    if rest is not None:
        yield rest


def starts_of(keys: Rows, before: tuple[int, ...] | None) -> NDArray[np.bool_]:
    """Tell which of some rows have another key than the one before them; `before` is the key before the first."""
    is_new = np.ones(keys.shape[1], bool)
    is_new[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    is_new[:1] = before is None or tuple(keys[:, 0].tolist()) != before
    return is_new


def as_bits(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return whole numbers in the order of floats that are not NaN.

    >>> as_bits(np.array([-np.inf, -2.5, -0.0, 0.0, 1e-9, 3.0])).argsort(kind="stable").tolist()
    [0, 1, 2, 3, 4, 5]
    """
    bits = (values + 0.0).view(np.uint64)  # there is one zero
    return np.where(bits >> np.uint64(63), ~bits, bits | np.uint64(1 << 63))


def as_floats(bits: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return the floats that `as_bits` was given."""
    positive = bits >> np.uint64(63) == 1
    return np.where(positive, bits & np.uint64(2**63 - 1), ~bits).view(np.float64)


def _order(keys: Rows) -> Index:
    """Return the order of rows: sorting by one number is fast, and few of the first are equal."""
    order = np.argsort(keys[0])
    first = keys[0][order]
    is_tied = np.zeros(len(order), bool)
    is_tied[1:] = first[1:] == first[:-1]
    is_tied[:-1] |= is_tied[1:]
    if is_tied.any():
        tied = order[is_tied]
        order[is_tied] = tied[np.lexsort((tied, *keys[::-1, tied]))]
    return order
