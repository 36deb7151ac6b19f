"""Prompts, one a row, in an order that needs no memory; what is behind them is written while a model learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from textus.dataset.examples import Examples
from textus.dataset.pack import Indices, Source, permutation
from textus.dataset.window import PADDING, Origin, Window
from textus.errors import CorpusError


class Prompts:
    """Rows of prompts; it stands where `Packed` stands.

    `rows_per_step` of them make a step, and `times` steps in a row show the same ones: the rows of those steps are
    numbered through, as all rows are. `ordered` keeps them in one order, for validation.
    """

    def __init__(
        self,
        examples: Examples,
        context_length: int,
        seed: int,
        *,
        rows_per_step: int = 1,
        times: int = 1,
        ordered: bool = False,
    ) -> None:
        self.split = examples
        self.context_length = context_length
        self.seed = seed
        self.rows_per_step = rows_per_step
        self.times = times
        self.ordered = ordered
        if not len(examples):
            raise CorpusError(f"the {examples.name} part has no prompt", hint="give more data")

    @property
    def per_epoch(self) -> int:
        """Count the prompts."""
        return len(self.split)

    @property
    def filled(self) -> float:
        """Return the share of the rows that is no padding."""
        return self.split.num_tokens / (self.per_epoch * self.context_length)

    def round_of(self, number: int) -> tuple[int, int]:
        """Return in which round of `times` steps a row is, and in which of its steps.

        >>> from textus.dataset.examples import Gathered
        >>> one = Gathered(9)
        >>> one.add([1], [False])
        >>> prompts = Prompts(one.examples("train"), 4, 0, rows_per_step=2, times=3)
        >>> [prompts.round_of(number) for number in (0, 1, 2, 5, 6)]
        [(0, 0), (0, 0), (0, 1), (0, 2), (1, 0)]
        """
        return divmod(number // self.rows_per_step, self.times)

    def first_of(self, number: int) -> int:
        """Return the row's number among those that are shown for the first time."""
        return self.round_of(number)[0] * self.rows_per_step + number % self.rows_per_step

    def example(self, number: int) -> int:
        """Return the number of the prompt that a row shows."""
        epoch, place = divmod(self.first_of(number), self.per_epoch)
        return place if self.ordered else int(self._order(epoch)[place])

    def tokens(self, number: int) -> list[int]:
        """Return the tokens of the prompt that a row shows."""
        start, stop = self.split.offsets[self.example(number)], self.split.offsets[self.example(number) + 1]
        found: list[int] = self.split.tokens[start:stop].tolist()
        return found

    def rows(self, numbers: Sequence[int] | Indices) -> Window:
        """Return the rows with these numbers; nothing in them is asked."""
        wanted = np.asarray(numbers, np.int64)
        prompts = [self.tokens(number) for number in wanted.tolist()]
        shape = (len(prompts), max(map(len, prompts)))
        tokens, documents = np.zeros(shape, np.int64), np.full(shape, PADDING, np.int64)
        for row, prompt in enumerate(prompts):
            tokens[row, : len(prompt)] = prompt
            documents[row, : len(prompt)] = 0
        epochs = torch.from_numpy(wanted // (self.per_epoch * self.times))
        places = torch.full(shape, PADDING)
        each = torch.full_like(epochs, self.per_epoch * self.times)
        return Window(
            torch.from_numpy(tokens),
            torch.from_numpy(documents),
            torch.zeros(shape, dtype=torch.bool),
            Origin(torch.from_numpy(wanted), epochs, each, places),
        )

    def sources(self, number: int) -> list[Source]:
        """Say which prompt a row shows."""
        return [Source(self.example(number), 0, len(self.tokens(number)))]

    def _order(self, epoch: int) -> Indices:
        held = getattr(self, "_held", None)
        if held is None or held[0] != epoch:
            bits = np.random.Philox(key=np.array([self.seed, epoch], np.uint64))
            self._held = held = (epoch, permutation(bits, self.per_epoch))
        order: Indices = held[1]
        return order
