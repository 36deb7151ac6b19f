"""Examples as rows: one text a row, with what is to be answered about it, in an order that needs no memory.

Rows are numbered from 0 through all epochs, as `Windows` are. Each epoch has an order of its own, in which texts of
like length stand together: they are shuffled, sorted by length within blocks of some batches, and the batches are
shuffled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from textus.dataset.pack import Indices, Source
from textus.dataset.window import PADDING, Window

_BLOCK = 16
"""Batches that are sorted by length together."""
_EPOCHS_KEPT = 2
Numbers = Sequence[int]


@dataclass(frozen=True)
class Data:
    """What examples are of."""

    data_fingerprint: str
    """Hash of the texts and their answers."""
    tokenizer_fingerprint: str


@dataclass(frozen=True, eq=False)
class Labelled(Window):
    """Rows of one text each, and the numbers of the answers."""

    labels: Int[Tensor, "batch answers"] = field(kw_only=True)
    """-1 where nothing is asked."""


class Examples:
    """Texts as tokens, with their answers, in batches of like length."""

    def __init__(
        self,
        tokens: Sequence[Numbers],
        labels: Sequence[Numbers],
        split: Data,
        *,
        seed: int = 0,
        batch: int = 1,
        ordered: bool = False,
    ) -> None:
        assert len(tokens) == len(labels) > 0
        self.tokens, self.labels, self.split = tokens, labels, split
        self._order = Order([len(row) for row in tokens], seed, batch, ordered)

    @property
    def per_epoch(self) -> int:
        """Count the examples."""
        return len(self.tokens)

    def rows(self, numbers: Sequence[int] | Indices) -> Labelled:
        """Return the examples with these numbers, padded to the longest of them."""
        chosen = self._order.places(numbers)
        tokens, documents = side_by_side([self.tokens[place] for place in chosen])
        width = max(len(self.labels[place]) for place in chosen)
        labels = torch.full((len(chosen), width), PADDING)
        for row, place in zip(labels, chosen, strict=True):
            row[: len(self.labels[place])] = torch.tensor(self.labels[place])
        return Labelled(tokens, documents, torch.zeros_like(tokens, dtype=torch.bool), labels=labels)

    def sources(self, number: int) -> list[Source]:
        """Say which example a row shows."""
        (place,) = self._order.places([number])
        return [Source(place, 0, len(self.tokens[place]))]


class Order:
    """Which example stands at each place of an epoch: a pure function of seed, epoch and lengths."""

    def __init__(self, lengths: Sequence[int], seed: int, batch: int, ordered: bool = False) -> None:
        self._lengths, self._seed, self._batch, self._ordered = np.asarray(lengths, np.int64), seed, batch, ordered
        self._epochs: dict[int, Indices] = {}

    def places(self, numbers: Sequence[int] | Indices) -> list[int]:
        """Return the examples that the rows with these numbers show."""
        epochs, places = np.divmod(np.asarray(numbers, np.int64), len(self._lengths))
        return [int(self._epoch(epoch)[place]) for epoch, place in zip(epochs.tolist(), places.tolist(), strict=True)]

    def _epoch(self, epoch: int) -> Indices:
        found = self._epochs.get(epoch)
        if found is None:  # two threads may both make it, and make the same
            found = self._made(epoch)
            for old in sorted(self._epochs)[: 1 - _EPOCHS_KEPT]:
                self._epochs.pop(old, None)
            self._epochs[epoch] = found
        return found

    def _made(self, epoch: int) -> Indices:
        count = len(self._lengths)
        if self._ordered:
            return np.arange(count)
        bits = np.random.Philox(key=np.array([self._seed, epoch], np.uint64))
        shuffled = np.argsort(bits.random_raw(count), kind="stable")
        blocks = np.arange(count) // (_BLOCK * self._batch)
        alike = shuffled[np.lexsort((self._lengths[shuffled], blocks))]
        whole = count - count % self._batch
        batches = alike[:whole].reshape(-1, self._batch)
        batches = batches[np.argsort(bits.random_raw(len(batches)), kind="stable")]
        return np.concatenate([batches.ravel(), alike[whole:]])


def side_by_side(rows: Sequence[Numbers]) -> tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]:
    """Return rows of unequal length as one tensor, and 0 where a token stands, -1 behind the last.

    >>> tokens, documents = side_by_side([[5, 6], [7]])
    >>> tokens.tolist(), documents.tolist()
    ([[5, 6], [7, 0]], [[0, 0], [0, -1]])
    """
    shape = len(rows), max(map(len, rows))
    tokens, documents = torch.zeros(shape, dtype=torch.long), torch.full(shape, PADDING)
    for number, row in enumerate(rows):
        tokens[number, : len(row)] = torch.as_tensor(row)
        documents[number, : len(row)] = 0
    return tokens, documents
