"""Choose among all documents which are held out, in the order of their keys or times, without holding all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index
from textus.corpus.sorting import Rows, Sorter, as_bits, starts_of
from textus.corpus.split import TRAIN, Times, choose, group_keys, newest
from textus.corpus.split_config import SplitConfig
from textus.errors import CorpusError

SplitOf = Callable[[Index], NDArray[np.int8]]
"""Tells of groups, by their numbers, which split each is of."""


class Candidates:
    """The documents that stay, of which some are to be held out.

    `keys` name contents or clusters and decide for `how="content"`; `values` hold each document's `config.field`
    otherwise. `stays` marks documents that are trained on whatever their key. Groups and times know nothing of
    near duplicates: training loses what is nearly like what they hold out.
    """

    def __init__(self, config: SplitConfig, folder: Path, memory_bytes: int) -> None:
        self._config, self._times = config, Times(config.field)
        self._rows = Sorter(folder, columns=5, keys=2, memory_bytes=memory_bytes)
        self._documents = self._bytes = self._missing = self._first_missing = 0

    def add(
        self, numbers: Index, keys: Rows, sizes: Index, stays: NDArray[np.bool_], values: Sequence[Any] = ()
    ) -> None:
        """Add documents, in the order of their numbers; keys are `[2, documents]`."""
        if self._config.how != "content":
            # NaN is how tables write that there is no number.
            missing = np.array([value is None or value == "" or value != value for value in values], bool)
            if missing.any() and not self._missing:
                self._first_missing = self._documents + int(np.argmax(missing))
            self._missing += int(missing.sum())
            stays = stays | missing
        self._documents, self._bytes = self._documents + len(numbers), self._bytes + int(sizes.sum())
        if self._config.how == "group":
            keys = group_keys(values).T
        if self._config.how == "time":
            known = np.flatnonzero(~stays)
            times = self._times.read([values[number] for number in np.flatnonzero(~missing).tolist()])
            numbers, sizes, times = numbers[known], sizes[known], times[~stays[~missing]]
            keys, stays = np.stack((~as_bits(times), np.zeros(len(known), np.uint64))), stays[known]
        self._rows.append(keys[0], keys[1], numbers, sizes, stays)

    def chosen(self, shares: Mapping[int, float]) -> Iterator[tuple[Index, NDArray[np.int8]]]:
        """Yield the documents that are held out, in any order, and the split of each."""
        if self._missing and self._config.missing == "stop":
            raise CorpusError(
                f"{self._missing} of {self._documents} documents have no `{self._config.field}`; the first is document "
                f"{self._first_missing}",
                hint="corpus.split.missing=train trains on them; with corpus.split.how=content the field is not needed",
            )
        split_of = self._by_time(shares) if self._config.how == "time" else self._by_key(shares)
        for groups, rows in self._numbered():
            splits = split_of(groups)
            held = splits != TRAIN
            yield rows[2, held].astype(np.int64), splits[held]
        self._rows.discard()

    def _by_key(self, shares: Mapping[int, float]) -> SplitOf:
        picked = choose(self._groups, shares, self._bytes)

        def split_of(groups: Index) -> NDArray[np.int8]:
            splits = np.zeros(len(groups), np.int8)
            for split, bits in picked.items():
                splits[bits[groups]] = split
            return splits

        return split_of

    def _by_time(self, shares: Mapping[int, float]) -> SplitOf:
        all_free = len(self._rows) == self._documents
        taken = newest(self._sizes, shares, self._bytes, all_free, self._documents)
        names = np.array([*(split for split, _ in taken), TRAIN], np.int8)
        borders = np.cumsum([count for _, count in taken])
        return lambda groups: np.asarray(names[np.searchsorted(borders, groups, "right")])

    def _numbered(self) -> Iterator[tuple[Index, Rows]]:
        """Yield the rows in order, each with the number of its group: those of one key."""
        before: tuple[int, ...] | None = None
        number = -1
        for rows in self._rows:
            groups = number + np.cumsum(starts_of(rows[:2], before))
            yield groups, rows
            number, before = int(groups[-1]), tuple(rows[:2, -1].tolist())

    def _sizes(self) -> Iterator[NDArray[np.int64]]:
        return (sizes for sizes, _ in self._groups())

    def _groups(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
        """Yield the size of each group, and whether it may be held out: none of its documents stays."""
        size, free = 0, True
        first = 0
        for groups, rows in self._numbered():
            starts = np.flatnonzero(np.diff(groups, prepend=-1))
            sizes = np.add.reduceat(rows[3].astype(np.int64), starts)
            frees = ~np.logical_or.reduceat(rows[4] == 1, starts)
            if int(groups[0]) < first:  # it began in the rows before
                sizes[0], frees[0] = sizes[0] + size, frees[0] and free
            elif first:
                yield np.array([size]), np.array([free])
            size, free, first = int(sizes[-1]), bool(frees[-1]), int(groups[-1]) + 1
            yield sizes[:-1], frees[:-1]
        if first:
            yield np.array([size]), np.array([free])
