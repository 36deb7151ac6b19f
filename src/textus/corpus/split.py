"""Choose what is held out: by what documents say, not by where they stand, so that duplicates never straddle.

With enough documents, whole ones are held out, taken in the order of their content's hash until the share of bytes is
reached: the choice depends neither on the order of the input nor on a seed. With fewer, the end of each is held out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from textus.corpus.config import CorpusConfig
from textus.corpus.text import border

Split = Literal["train", "validation", "test"]
How = Literal["documents", "tails", "given"]
"""Whole documents are held out, or the end of each, or what the user gave."""
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
_CLOSE_ENOUGH = 0.05


class Contents:
    """The digests and sizes of the documents of a corpus, in 24 bytes a document."""

    def __init__(self) -> None:
        self._digests = bytearray()
        self._sizes = bytearray()

    def append(self, digest: bytes, num_bytes: int) -> None:
        """Add a document by its content digest (16 bytes) and size."""
        self._digests += digest
        self._sizes += num_bytes.to_bytes(8, "little")

    def __len__(self) -> int:
        return len(self._sizes) // 8

    @property
    def keys(self) -> NDArray[np.uint64]:
        """Return the digests as rows of two numbers."""
        return np.frombuffer(bytes(self._digests), ">u8").reshape(-1, 2).astype(np.uint64)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Return the sizes in bytes."""
        return np.frombuffer(bytes(self._sizes), "<i8").astype(np.int64)

    def num_distinct(self) -> int:
        """Count the documents that differ in content."""
        return len(np.unique(self.keys, axis=0))


def by_document(keys: NDArray[np.uint64], sizes: NDArray[np.int64], shares: Mapping[int, float]) -> NDArray[np.int8]:
    """Return the split of each document (0: train); documents of equal key share it.

    `shares` gives the share of bytes for each split that is held out. None of these is left empty where there are
    contents enough, and none takes the last content from training.
    """
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    is_first = np.ones(len(order), bool)
    is_first[1:] = (keys[order][1:] != keys[order][:-1]).any(axis=1)
    starts = np.flatnonzero(is_first)
    group_sizes = np.add.reduceat(sizes[order], starts)
    chosen = np.zeros(len(starts), np.int8)
    for split, share in shares.items():
        if share > 0:
            chosen[_take(group_sizes, chosen == TRAIN, share * float(sizes.sum()))] = split
    splits = np.zeros(len(order), np.int8)
    splits[order] = np.repeat(chosen, np.diff(np.append(starts, len(order))))
    return splits


def _take(sizes: NDArray[np.int64], free: NDArray[np.bool_], target: float) -> list[int]:
    """Choose, in order, each free group that brings the sum of sizes nearer to `target`; at least the smallest.

    The last free group is never chosen.
    """
    taken, total = [], 0.0
    candidates = np.flatnonzero(free)
    if len(candidates) < 2:
        return []
    for group in candidates:
        if target - total <= _CLOSE_ENOUGH * target:
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
