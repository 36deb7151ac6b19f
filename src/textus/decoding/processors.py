"""Functions from logits to logits, to be put one after another: what a model may say next.

Each is a frozen value and a pure function of the logits and of the tokens so far. A token that may not follow gets
`-inf`. The meaning of each, ties and edges included, is that of the processor of the same name in transformers. Here
are the ones that look at the logits alone; `penalties.py` and `bans.py` hold those that look back. None waits for its
device: nothing is copied to the host.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from textus.config import Count, Fraction, Positive, Range, Settings
from textus.decoding.config import MINIMUM_TEMPERATURE
from textus.decoding.history import History

Share = Annotated[float, Range(0, 1, open_low=True)]
"""A probability that stays; 1 leaves all tokens."""
Cutoff = Annotated[float, Range(0, 1, open_low=True, open_high=True)]
"""A probability below which tokens are dropped."""


@runtime_checkable
class Processor(Protocol):
    """Change the logits of the next token, given the tokens so far."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Return new logits; the given ones stay as they are."""
        ...


@runtime_checkable
class Changes(Protocol):
    """A processor that can change logits where they are: to copy them takes longer than what most of them do."""

    def change(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Do to the given logits what calling it does to a copy, and return them."""
        ...


@dataclasses.dataclass(frozen=True)
class Temperature(Settings):
    """Divide the logits: below 1 sharpens the distribution, above 1 flattens it.

    >>> Temperature(0.5)(torch.tensor([[1.0, 2.0]]), History.of([[]])).tolist()
    [[2.0, 4.0]]
    """

    temperature: Annotated[float, Range(MINIMUM_TEMPERATURE)]
    """1 leaves the distribution as it is."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Scale the logits."""
        return logits / self.temperature

    def change(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Scale these logits."""
        return logits.div_(self.temperature)


@dataclasses.dataclass(frozen=True)
class TopK(Settings):
    """Keep the `k` likeliest tokens, and all that tie with the last of them.

    >>> TopK(2)(torch.tensor([[1.0, 3.0, 2.0, 2.0]]), History.of([[]])).tolist()
    [[-inf, 3.0, 2.0, 2.0]]
    """

    k: Count
    """How many tokens stay; at least the vocabulary leaves them all."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Drop all but the top `k`."""
        least = logits.topk(min(self.k, logits.shape[-1])).values[:, -1:]
        return logits.masked_fill(logits < least, -math.inf)


@dataclasses.dataclass(frozen=True)
class TopP(Settings):
    """Keep the fewest likeliest tokens whose probabilities reach `p` (nucleus sampling, arXiv:1904.09751).

    Where the border falls among tokens that tie, those with the higher ids stay, on every device.

    >>> half, quarter = math.log(0.5), math.log(0.25)
    >>> TopP(0.6)(torch.tensor([[quarter, half, quarter]]), History.of([[]])).isfinite().tolist()
    [[False, True, True]]
    """

    p: Share
    """Probability that stays; 1 leaves all tokens."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
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

    >>> MinP(0.5)(torch.tensor([[0.0, 1.0, 3.0, 3.5]]), History.of([[]])).tolist()
    [[-inf, -inf, 3.0, 3.5]]
    """

    p: Fraction
    """Share of the highest probability; 0 leaves all tokens."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Drop what is too unlikely beside the best."""
        probabilities = logits.softmax(-1)
        least = self.p * probabilities.amax(-1, keepdim=True)
        return logits.masked_fill(probabilities < least, -math.inf)


@dataclasses.dataclass(frozen=True)
class Typical(Settings):
    """Keep the tokens whose surprise is nearest to the expected one, until they reach `p` (arXiv:2202.00666).

    The token that reaches `p` stays, and all that are as near as it.

    >>> logits = torch.tensor([[0.5, 0.2, 0.2, 0.1]]).log()
    >>> Typical(0.3)(logits, History.of([[]])).isfinite().tolist()
    [[False, True, True, False]]
    """

    p: Share
    """Probability that stays; 1 leaves all tokens."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Drop what surprises too much or too little."""
        if self.p == 1:
            return logits
        surprise = -logits.log_softmax(-1)
        away = (surprise - _entropy(logits)).abs()
        nearest, order = away.sort(dim=-1, stable=True)
        inside = (logits.gather(1, order).softmax(-1).cumsum(-1) < self.p).sum(-1, keepdim=True)
        limit = nearest.gather(1, inside.clamp(max=logits.shape[1] - 1))
        return logits.masked_fill(away > limit, -math.inf)


@dataclasses.dataclass(frozen=True)
class TopNSigma(Settings):
    """Keep the tokens within `n` standard deviations of the best logit (arXiv:2411.07641).

    The deviation is that of all logits that are not `-inf`; no temperature before it changes what stays.

    >>> TopNSigma(1.0)(torch.tensor([[0.0, 0.0, 0.0, 4.0]]), History.of([[]])).isfinite().tolist()
    [[False, False, False, True]]
    """

    n: Positive
    """1 is usual; 3 keeps nearly all that could be meant."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Drop what is far below the best."""
        return logits.masked_fill(logits < self._least(logits), -math.inf)

    def change(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Drop them here."""
        return logits.masked_fill_(logits < self._least(logits), -math.inf)

    def _least(self, logits: Float[Tensor, "batch vocab"]) -> Float[Tensor, "batch 1"]:
        """Return the least logit that stays."""
        possible = logits > -math.inf
        count = possible.sum(-1, keepdim=True)
        mean = torch.where(possible, logits, 0).sum(-1, keepdim=True) / count
        variance = torch.where(possible, logits - mean, 0).square_().sum(-1, keepdim=True) / count
        return logits.amax(-1, keepdim=True) - self.n * variance.sqrt()


@dataclasses.dataclass(frozen=True)
class Epsilon(Settings):
    """Keep the tokens of at least this probability, and the best in any case (arXiv:2210.15191).

    >>> Epsilon(0.3)(torch.tensor([[0.5, 0.3, 0.2]]).log(), History.of([[]])).isfinite().tolist()
    [[True, True, False]]
    """

    epsilon: Cutoff
    """3e-4 to 9e-4 is usual."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Drop what is unlikely."""
        return _without(logits, logits.softmax(-1) < self.epsilon)


@dataclasses.dataclass(frozen=True)
class Eta(Settings):
    """Keep tokens of at least `min(epsilon, sqrt(epsilon) e^-entropy)`, and the best in any case (arXiv:2210.15191).

    The less certain the model, the lower the bound.

    >>> Eta(0.09)(torch.tensor([[0.9, 0.05, 0.05]]).log(), History.of([[]])).isfinite().tolist()
    [[True, False, False]]
    """

    epsilon: Cutoff
    """3e-4 to 4e-3 is usual."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Drop what is unlikely for so certain a model."""
        normal = logits - logits.logsumexp(-1, keepdim=True)
        # Not `_entropy`: the last bits decide at the border, and these are those of transformers.
        entropy = -(normal.clamp(min=torch.finfo(normal.dtype).min) * normal.softmax(-1)).sum(-1, keepdim=True)
        epsilon = logits.new_full((), self.epsilon)
        return _without(logits, logits.softmax(-1) < torch.minimum(epsilon, epsilon.sqrt() * (-entropy).exp()))


FORGETFUL = (Temperature, TopK, TopP, MinP, Typical, TopNSigma, Epsilon, Eta)
"""The processors that ask nothing of the tokens so far."""


def _entropy(logits: Float[Tensor, "batch vocab"]) -> Float[Tensor, "batch 1"]:
    """Return the entropy of each row in nats; tokens that cannot follow count nothing."""
    log_probabilities = logits.log_softmax(-1)
    return -(log_probabilities * log_probabilities.exp()).nansum(-1, keepdim=True)


def _without(
    logits: Float[Tensor, "batch vocab"], dropped: Bool[Tensor, "batch vocab"]
) -> Float[Tensor, "batch vocab"]:
    """Drop tokens, but none that is likeliest."""
    return logits.masked_fill(dropped & (logits < logits.amax(-1, keepdim=True)), -math.inf)
