"""Functions from logits to logits, to be put one after another: what a model may say next.

Each is a frozen value and a pure function of the logits and of the tokens so far. A token that may not follow gets
`-inf`. The meaning of each, ties and edges included, is that of the processor of the same name in transformers.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textus.config import Count, Fraction, Positive, Range, Settings
from textus.decoding.config import MINIMUM_TEMPERATURE

NO_TOKEN = -1
"""Fills the history of a row that is shorter than its neighbours."""


@runtime_checkable
class Processor(Protocol):
    """Change the logits of the next token, given the tokens so far (rows padded with `NO_TOKEN`)."""

    def __call__(
        self, logits: Float[Tensor, "batch vocab"], history: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch vocab"]:
        """Return new logits; the given ones stay as they are."""
        ...


@dataclasses.dataclass(frozen=True)
class Temperature(Settings):
    """Divide the logits: below 1 sharpens the distribution, above 1 flattens it.

    >>> Temperature(0.5)(torch.tensor([[1.0, 2.0]]), torch.tensor([[0]])).tolist()
    [[2.0, 4.0]]
    """

    temperature: Annotated[float, Range(MINIMUM_TEMPERATURE)]
    """1 leaves the distribution as it is."""

    def __call__(
        self, logits: Float[Tensor, "batch vocab"], history: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch vocab"]:
        """Scale the logits."""
        return logits / self.temperature


@dataclasses.dataclass(frozen=True)
class TopK(Settings):
    """Keep the `k` likeliest tokens, and all that tie with the last of them.

    >>> TopK(2)(torch.tensor([[1.0, 3.0, 2.0, 2.0]]), torch.tensor([[0]])).tolist()
    [[-inf, 3.0, 2.0, 2.0]]
    """

    k: Count
    """How many tokens stay; at least the vocabulary leaves them all."""

    def __call__(
        self, logits: Float[Tensor, "batch vocab"], history: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch vocab"]:
        """Drop all but the top `k`."""
        least = logits.topk(min(self.k, logits.shape[-1])).values[:, -1:]
        return logits.masked_fill(logits < least, -math.inf)


@dataclasses.dataclass(frozen=True)
class TopP(Settings):
    """Keep the fewest likeliest tokens whose probabilities reach `p` (nucleus sampling, arXiv:1904.09751).

    Where the border falls among tokens that tie, those with the higher ids stay, on every device.

    >>> half, quarter = math.log(0.5), math.log(0.25)
    >>> TopP(0.6)(torch.tensor([[quarter, half, quarter]]), torch.tensor([[0]])).isfinite().tolist()
    [[False, True, True]]
    """

    p: Annotated[float, Range(0, 1, open_low=True)]
    """Probability that stays; 1 leaves all tokens."""

    def __call__(
        self, logits: Float[Tensor, "batch vocab"], history: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch vocab"]:
        """Drop what lies outside the nucleus."""
        if self.p == 1:
            return logits
        # Summed from the smallest up: the tail is many tiny numbers, which a sum from the top would round away.
        ascending, order = logits.sort(dim=-1, stable=True)
        dropped = ascending.softmax(-1).cumsum(-1) <= 1 - self.p
        dropped[:, -1] = False
        return logits.masked_fill(torch.zeros_like(dropped).scatter(1, order, dropped), -math.inf)


@dataclasses.dataclass(frozen=True)
class MinP(Settings):
    """Keep the tokens that are at least `p` times as likely as the likeliest (arXiv:2407.01082).

    >>> MinP(0.5)(torch.tensor([[0.0, 1.0, 3.0, 3.5]]), torch.tensor([[0]])).tolist()
    [[-inf, -inf, 3.0, 3.5]]
    """

    p: Fraction
    """Share of the highest probability; 0 leaves all tokens."""

    def __call__(
        self, logits: Float[Tensor, "batch vocab"], history: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch vocab"]:
        """Drop what is too unlikely beside the best."""
        probabilities = logits.softmax(-1)
        least = self.p * probabilities.amax(-1, keepdim=True)
        return logits.masked_fill(probabilities < least, -math.inf)


@dataclasses.dataclass(frozen=True)
class RepetitionPenalty(Settings):
    """Make every token of the prompt and of the text so far less likely, once each (CTRL, arXiv:1909.05858).

    Logits below zero are multiplied and others divided, so it belongs before whatever shifts logits.

    >>> RepetitionPenalty(2.0)(torch.tensor([[4.0, -4.0, 4.0]]), torch.tensor([[0, 1, 1]])).tolist()
    [[2.0, -8.0, 4.0]]
    """

    penalty: Positive
    """1 changes nothing; above 1 discourages; below 1 encourages."""

    def __call__(
        self, logits: Float[Tensor, "batch vocab"], history: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch vocab"]:
        """Weaken what was said already."""
        batch, vocab = logits.shape
        seen = torch.zeros(batch, vocab + 1, dtype=torch.bool, device=logits.device)
        seen.scatter_(1, history.masked_fill(history == NO_TOKEN, vocab), True)
        penalised = torch.where(logits < 0, logits * self.penalty, logits / self.penalty)
        return torch.where(seen[:, :vocab], penalised, logits)
