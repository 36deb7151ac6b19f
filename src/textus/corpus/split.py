"""Choose what is held out: by what documents say, not by where they stand, so that duplicates never straddle.

With enough documents, whole ones are held out, taken in the order of their content's hash until the share of bytes is
reached: the choice depends neither on the order of the input nor on a seed. A cluster of near-duplicates has one hash,
so it is held out whole or not at all. With fewer documents, the end of each is held out. On request whole groups are
held out, or the newest documents.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from textus.corpus.config import CorpusConfig
from textus.corpus.split_config import SplitConfig
from textus.corpus.text import border
from textus.errors import CorpusError

Split = Literal["train", "validation", "test"]
How = Literal["documents", "group", "time", "tails", "given"]
"""Whole documents are held out, whole groups, the newest, the end of each, or what the user gave."""
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
_CLOSE_ENOUGH = 0.05


def divide(
    config: SplitConfig,
    keys: NDArray[np.uint64],
    sizes: NDArray[np.int64],
    shares: Mapping[int, float],
    values: Sequence[Any] = (),
    stays: NDArray[np.bool_] | None = None,
) -> NDArray[np.int8]:
    """Return the split of each document (0: train), as the settings say.

    `keys` name contents or clusters and decide for `how="content"`; `values` hold each document's `config.field`
    otherwise. `stays` marks documents that are trained on whatever their key. Groups and times know nothing of
    near-duplicates: drop from training what `leakage.straddling` finds.
    """
    if config.how == "content":
        return by_document(keys, sizes, shares, stays)
    assert len(values) == len(sizes)
    # NaN is how tables write that there is no number.
    missing = np.array([value is None or value == "" or value != value for value in values], bool)
    if missing.any() and config.missing == "stop":
        raise CorpusError(
            f"{missing.sum()} of {len(values)} documents have no `{config.field}`; the first is document "
            f"{int(np.argmax(missing))}",
            hint="split.missing=train trains on them; with split.how=content the field is not needed",
        )
    stays = missing if stays is None else stays | missing
    if config.how == "group":
        return by_document(group_keys(values), sizes, shares, stays)
    times = np.full(len(values), -math.inf)
    known = np.flatnonzero(~missing)
    times[known] = as_times([values[number] for number in known.tolist()], config.field)
    return by_time(times, sizes, shares, stays)


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
    chosen = np.zeros(len(starts), np.int8)
    free = np.ones(len(starts), bool) if stays is None else ~np.logical_or.reduceat(stays[order], starts)
    asked = {split: share for split, share in shares.items() if share > 0}
    for number, (split, share) in enumerate(asked.items()):
        spare = len(asked) - number
        chosen[_take(group_sizes, free & (chosen == TRAIN), share * float(sizes.sum()), spare)] = split
    splits = np.zeros(len(order), np.int8)
    splits[order] = np.repeat(chosen, np.diff(np.append(starts, len(order))))
    return splits


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
    parts = [split for split in (TEST, VALIDATION) if shares.get(split, 0) > 0]
    if len(moments) < len(parts) + bool(free.all()):
        raise CorpusError(
            f"{len(moments)} different times are too few to divide {len(times)} documents by",
            hint="give documents of more dates, or split by content: split.how=content",
        )
    totals = np.bincount(places, weights=sizes[free], minlength=len(moments))
    chosen = np.zeros(len(moments), np.int8)
    end = len(moments)
    for number, split in enumerate(parts):
        spare = len(parts) - number - 1 + bool(free.all())
        target, start = shares[split] * float(sizes.sum()), end - 1
        taken = totals[start]
        while start - 1 >= spare and abs(taken + totals[start - 1] - target) <= abs(taken - target):
            start -= 1
            taken += totals[start]
        chosen[start:end] = split
        end = start
    splits = np.zeros(len(times), np.int8)
    splits[free] = chosen[places]
    return splits


def as_times(values: Sequence[Any], field: str) -> NDArray[np.float64]:
    """Read times that are all numbers (years, seconds) or all dates (ISO 8601 strings, or Python's own types).

    A date without a time zone is taken as UTC. Raises `CorpusError` naming the first value that does not fit.

    >>> as_times(["1970-01-02", "1970-01-01T12:00:00Z", "1970-01"], "published").tolist()
    [86400.0, 43200.0, 0.0]
    """
    times = np.empty(len(values))
    first_kind, first_value = "", None
    for number, value in enumerate(values):
        times[number], kind = _as_time(value)
        first_kind, first_value = (first_kind, first_value) if first_kind else (kind, value)
        if not kind or kind != first_kind:
            problem = f"but {first_value!r} in another is {first_kind}" if kind else "which is neither"
            raise CorpusError(
                f"`{field}` must be all dates or all numbers; it is {value!r} in one document, {problem}",
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


def _take(sizes: NDArray[np.int64], free: NDArray[np.bool_], target: float, spare: int) -> list[int]:
    """Choose, in order, each free group that brings the sum of sizes nearer to `target`; at least the smallest.

    `spare` groups at the least stay free, for training and for the splits that are still to be served.
    """
    taken: list[int] = []
    total = 0.0
    candidates = np.flatnonzero(free)
    if len(candidates) <= spare:
        return [] if len(candidates) < 2 else [int(candidates[np.argmin(sizes[candidates])])]
    for group in candidates:
        if target - total <= _CLOSE_ENOUGH * target or len(taken) == len(candidates) - spare:
            break
        if sizes[group] <= 2 * (target - total):
            taken.append(int(group))
            total += float(sizes[group])
    return taken or [int(candidates[np.argmin(sizes[candidates])])]


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
