"""Choose what is held out: by what documents say, not by where they stand, so that duplicates never straddle.

With enough documents, whole ones are held out, taken in the order of their content's hash until the share of bytes is
reached: the choice depends neither on the order of the input nor on a seed. A cluster of near-duplicates has one hash,
so it is held out whole or not at all. With fewer documents, the end of each is held out. On request whole groups are
held out, or the newest documents.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from textus.corpus.bits import Bits
from textus.corpus.config import CorpusConfig
from textus.corpus.text import border
from textus.errors import CorpusError

Split = Literal["train", "validation", "test"]
How = Literal["documents", "group", "time", "tails", "given"]
"""Whole documents are held out, whole groups, the newest, the end of each, or what the user gave."""
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
_CLOSE_ENOUGH = 0.05


def by_document(
    keys: NDArray[np.uint64],
    sizes: NDArray[np.int64],
    shares: Mapping[int, float],
    stays: NDArray[np.bool_] | None = None,
) -> NDArray[np.int8]:
    """Return the split of each document (0: train); documents of equal key share it.

    `shares` gives the share of bytes for each split that is held out. None of these is left empty where there are
    contents enough, and none takes the last content from training. A key with a document in `stays` is trained on.
    """
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    is_first = np.ones(len(order), bool)
    is_first[1:] = (keys[order][1:] != keys[order][:-1]).any(axis=1)
    starts = np.flatnonzero(is_first)
    group_sizes = np.add.reduceat(sizes[order], starts)
    free = np.ones(len(starts), bool) if stays is None else ~np.logical_or.reduceat(stays[order], starts)
    chosen = np.zeros(len(starts), np.int8)
    for split, bits in choose(lambda: iter([(group_sizes, free)]), shares, int(sizes.sum())).items():
        chosen[bits.part(0, len(starts))] = split
    splits = np.zeros(len(order), np.int8)
    splits[order] = np.repeat(chosen, np.diff(np.append(starts, len(order))))
    return splits


Groups = Callable[[], Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]]
"""Goes through the groups in their order, some at a time: their sizes, and which may be held out."""


def choose(groups: Groups, shares: Mapping[int, float], total: int) -> dict[int, Bits]:
    """Return the groups of each split that is held out, by their place in the order; `total` is the size of all."""
    counts = np.array([(len(sizes), free.sum()) for sizes, free in groups()], np.int64).reshape(-1, 2).sum(axis=0)
    number, left = counts.tolist()
    chosen: dict[int, Bits] = {}

    def candidates() -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        start = 0
        for sizes, free in groups():
            numbers = start + np.flatnonzero(free)
            for bits in chosen.values():
                numbers = numbers[~bits[numbers]]
            yield numbers, sizes[numbers - start]
            start += len(sizes)

    asked = {split: share for split, share in shares.items() if share > 0}
    for at, (split, share) in enumerate(asked.items()):
        taken = _take(candidates, left, share * float(total), len(asked) - at)
        chosen[split] = Bits(number)
        chosen[split].add(taken)
        left -= len(taken)
    return chosen


def group_keys(values: Sequence[Any]) -> NDArray[np.uint64]:
    """Hash the value that names each document's group, to rows of two numbers; 7 and "7" are one group."""
    digests = b"".join(
        hashlib.blake2b(str(value).encode("utf-8", "surrogatepass"), digest_size=16).digest() for value in values
    )
    return np.frombuffer(digests, ">u8").reshape(-1, 2).astype(np.uint64)


def by_time(
    times: NDArray[np.float64],
    sizes: NDArray[np.int64],
    shares: Mapping[int, float],
    stays: NDArray[np.bool_] | None = None,
) -> NDArray[np.int8]:
    """Return the split of each document: the newest are tested on, the next validated on, the rest trained on.

    Documents of one time stay together, so a share is met as nearly as these allow. Raises `CorpusError` when there
    are fewer different times than splits.

    >>> by_time(np.array([2001.0, 2003, 2002, 2003]), np.full(4, 9), {VALIDATION: 0.5}).tolist()
    [0, 1, 0, 1]
    """
    free = np.ones(len(times), bool) if stays is None else ~stays
    moments, places = np.unique(times[free], return_inverse=True)
    totals = np.bincount(places, weights=sizes[free], minlength=len(moments))
    taken = newest(
        lambda: iter([totals[::-1].astype(np.int64)]), shares, int(sizes.sum()), bool(free.all()), len(times)
    )
    chosen, end = np.zeros(len(moments), np.int8), len(moments)
    for split, count in taken:
        chosen[end - count : end] = split
        end -= count
    splits = np.zeros(len(times), np.int8)
    splits[free] = chosen[places]
    return splits


def newest(
    totals: Callable[[], Iterator[NDArray[np.int64]]],
    shares: Mapping[int, float],
    total: int,
    all_free: bool,
    documents: int,
) -> list[tuple[int, int]]:
    """Return the splits from the newest documents on, each with how many moments are its own.

    `totals` goes through the sizes of the moments from the newest on, some at a time; `total` is the size of all
    `documents`. Where none of these are trained on anyway (`all_free`), a moment is left for training.
    """
    parts = [split for split in (TEST, VALIDATION) if shares.get(split, 0) > 0]
    left = sum(len(some) for some in totals())
    if left < len(parts) + all_free:
        raise CorpusError(
            f"{left} different times are too few to divide {documents} documents by",
            hint="give documents of more dates, or split by content: corpus.split.how=content",
        )
    sizes = (size for some in totals() for size in some.tolist())
    found: list[tuple[int, int]] = []
    following = next(sizes, 0)
    for number, split in enumerate(parts):
        spare = len(parts) - number - 1 + all_free
        target = shares[split] * float(total)
        taken, count = following, 1
        left, following = left - 1, next(sizes, 0)
        while left - 1 >= spare and abs(taken + following - target) <= abs(taken - target):
            taken, count = taken + following, count + 1
            left, following = left - 1, next(sizes, 0)
        found.append((split, count))
    return found


def as_times(values: Sequence[Any], field: str) -> NDArray[np.float64]:
    """Read times that are all numbers (years, seconds) or all dates (ISO 8601 strings, or Python's own types).

    A date without a time zone is taken as UTC. Raises `CorpusError` naming the first value that does not fit.

    >>> as_times(["1970-01-02", "1970-01-01T12:00:00Z", "1970-01"], "published").tolist()
    [86400.0, 43200.0, 0.0]
    """
    return Times(field).read(values)


class Times:
    """Read times part by part; all of them must be of one kind."""

    def __init__(self, field: str) -> None:
        self._field = field
        self._kind, self._first = "", None

    def read(self, values: Sequence[Any]) -> NDArray[np.float64]:
        """Read some of them, as `as_times` does."""
        times = np.empty(len(values))
        for number, value in enumerate(values):
            times[number], kind = _as_time(value)
            self._kind, self._first = (self._kind, self._first) if self._kind else (kind, value)
            if not kind or kind != self._kind:
                problem = f"but {self._first!r} in another is {self._kind}" if kind else "which is neither"
                raise CorpusError(
                    f"`{self._field}` must be all dates or all numbers; it is {value!r} in one document, {problem}",
                    hint="dates are written like 2024-05-31, 2024-05 or 2024-05-31T12:00:00Z, numbers like 2024",
                )
        return times


def _as_time(value: Any) -> tuple[float, str]:
    """Return seconds or the number, and which of these; no kind for what is neither."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp(), "a date"
    if isinstance(value, date):
        return _as_time(datetime(value.year, value.month, value.day))
    if isinstance(value, str):
        return _read_time(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return math.nan, ""
    return float(value), "a number"


def _read_time(text: str) -> tuple[float, str]:
    with suppress(ValueError):
        return _as_time(float(text))
    for written in (text, f"{text}-01"):  # a month alone is its first day
        with suppress(ValueError):
            return _as_time(datetime.fromisoformat(written))
    return math.nan, ""


def _take(
    candidates: Callable[[], Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]],
    count: int,
    target: float,
    spare: int,
) -> NDArray[np.int64]:
    """Choose, in order, each candidate that brings the sum of sizes nearer to `target`; at least the smallest.

    `spare` of so many candidates at the least stay free, for training and for the splits that are still to be served.
    """
    if count < 2:
        return np.zeros(0, np.int64)
    taken = np.fromiter(_nearing(candidates(), count - spare, target), np.int64)
    if len(taken):
        return taken
    smallest = [(int(sizes.min()), int(own[np.argmin(sizes)])) for own, sizes in candidates() if len(own)]
    return np.array([min(smallest, key=lambda one: one[0])[1]])


def _nearing(
    candidates: Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]], most: int, target: float
) -> Iterator[int]:
    total, number = 0.0, 0
    for own, sizes in candidates:
        for group, size in zip(own.tolist(), sizes.tolist(), strict=True):
            if target - total <= _CLOSE_ENOUGH * target or number >= most:
                return
            if size <= 2 * (target - total):
                total, number = total + size, number + 1
                yield group


def by_tail(text: str, config: CorpusConfig) -> Iterator[tuple[Split, str]]:
    r"""Cut a text into its beginning, which is learnt, and its end, which is held out: at a paragraph if one is near.

    >>> list(by_tail("one two three\nfour", CorpusConfig(validation_fraction=0.25)))
    [('train', 'one two three'), ('validation', 'four')]
    """
    parts: list[tuple[Split, float]] = [("validation", config.validation_fraction), ("test", config.test_fraction)]
    start, kept = 0, 1.0 - config.validation_fraction - config.test_fraction
    before: Split = "train"
    for part, share in parts:
        if share == 0:
            continue
        at, slack = round(kept * len(text)), int(0.25 * share * len(text))
        cut = max(start, border(text, at, at - slack, at + slack))
        if words := text[start:cut].strip("\n").rstrip():
            yield before, words
        start, before, kept = cut, part, kept + share
    if words := text[start:].strip("\n").rstrip():
        yield before, words
