"""Queries and the passages that answer them, as rows for telling them apart within a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from textus.dataset.labelled import Data, Numbers, Order, side_by_side
from textus.dataset.pack import Indices, Source
from textus.dataset.window import Window

_APART = 1 << 32
"""Keeps the bits that choose passages apart from those of the order."""


@dataclass(frozen=True, eq=False)
class Contrasted(Window):
    """Queries, and below them the passages of all of them: one that answers each, then those that do not."""

    targets: Int[Tensor, " queries"] = field(kw_only=True)
    """Which passage answers each query."""
    excluded: Bool[Tensor, "queries passages"] = field(kw_only=True)
    """Passages that answer a query too, or are the same: they must not count against it."""


class Pairs:
    """Queries with passages that answer them, and with others that look as if they did.

    Which passage a query is shown with is drawn from (seed, number) where it has several.
    """

    def __init__(
        self,
        queries: Sequence[Numbers],
        passages: Sequence[Numbers],
        positives: Sequence[Numbers],
        negatives: Sequence[Numbers],
        split: Data,
        *,
        hard: int = 0,
        seed: int = 0,
        batch: int = 1,
        ordered: bool = False,
    ) -> None:
        assert len(queries) == len(positives) == len(negatives) > 0
        assert all(positives), "each query has an answer"
        self.queries, self.passages, self.positives, self.negatives = queries, passages, positives, negatives
        self.split, self._hard, self._seed = split, hard, seed
        self._order = Order([len(row) for row in queries], seed, batch, ordered)

    @property
    def per_epoch(self) -> int:
        """Count the queries."""
        return len(self.queries)

    def rows(self, numbers: Sequence[int] | Indices) -> Contrasted:
        """Return the queries with these numbers and their passages, each passage once."""
        chosen = self._order.places(numbers)
        shown: dict[int, int] = {}
        targets: list[int] = []
        further: list[int] = []
        for number, query in zip(np.asarray(numbers).tolist(), chosen, strict=True):
            bits = np.random.Philox(key=np.array([number + 1, self._seed + _APART], np.uint64))
            positive = self._drawn(self.positives[query], 1, bits)[0]
            targets.append(shown.setdefault(positive, len(shown)))
            further += self._drawn(self.negatives[query], self._hard, bits)
        for passage in further:
            shown.setdefault(passage, len(shown))
        excluded = torch.zeros(len(chosen), len(shown), dtype=torch.bool)
        for row, query, target in zip(excluded, chosen, targets, strict=True):
            for passage in self.positives[query]:
                if passage in shown and shown[passage] != target:
                    row[shown[passage]] = True
        tokens, documents = side_by_side([self.queries[q] for q in chosen] + [self.passages[p] for p in shown])
        predict = torch.zeros_like(tokens, dtype=torch.bool)
        return Contrasted(tokens, documents, predict, targets=torch.tensor(targets), excluded=excluded)

    def sources(self, number: int) -> list[Source]:
        """Say which query a row shows."""
        (place,) = self._order.places([number])
        return [Source(place, 0, len(self.queries[place]))]

    @staticmethod
    def _drawn(passages: Numbers, count: int, bits: np.random.Philox) -> list[int]:
        """Draw `count` of the passages, or all where there are no more."""
        if len(passages) <= count:
            return list(passages)
        order = np.argsort(bits.random_raw(len(passages)), kind="stable")
        return [passages[place] for place in order[:count].tolist()]
