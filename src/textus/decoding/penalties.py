"""Processors that make what was said already less likely.

`spare` names tokens that are never penalised: those that end a text or a turn. A model punished for having ended
its last turn does not end this one (llama.cpp #331). `strategy_of` fills it in.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from textus.config import Count, NonNegative, Positive, Range, Settings
from textus.decoding.history import NO_TOKEN, History, counts, ids

Penalty = Annotated[float, Range(-2, 2)]
"""What the protocol of OpenAI allows."""
LONGEST_MATCH = 50
"""DRY compares no further back than this; the penalty of such a repetition is beyond any logit."""


def _spared(seen: Bool[Tensor, "batch vocab"], spare: tuple[int, ...]) -> Bool[Tensor, "batch vocab"]:
    return seen.index_fill(1, ids(spare, seen.device), False) if spare else seen


@dataclasses.dataclass(frozen=True)
class RepetitionPenalty(Settings):
    """Make every token of the prompt and of the text so far less likely, once each (CTRL, arXiv:1909.05858).

    Logits below zero are multiplied and others divided, so it belongs before whatever shifts logits.

    >>> RepetitionPenalty(2.0)(torch.tensor([[4.0, -4.0, 4.0]]), History.of([[0, 1, 1]])).tolist()
    [[2.0, -8.0, 4.0]]
    """

    penalty: Positive
    """1 changes nothing; above 1 discourages; below 1 encourages."""
    window: Count | Literal["all"] = "all"
    """Only this many last tokens count; llama.cpp counts 64."""
    scope: Literal["all", "written"] = "all"
    """Whether the prompt counts."""
    spare: tuple[int, ...] = ()
    """Tokens that are never penalised."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Weaken what was said already."""
        tokens, counted = history.tokens, history.is_written
        if self.scope == "all":
            counted = torch.ones_like(counted)
        if self.window != "all":
            tokens, counted = tokens[:, -self.window :], counted[:, -self.window :]
        seen = _spared(counts(tokens, counted, logits.shape[1]) > 0, self.spare)
        penalised = torch.where(logits < 0, logits * self.penalty, logits / self.penalty)
        return torch.where(seen, penalised, logits)


@dataclasses.dataclass(frozen=True)
class FrequencyPenalty(Settings):
    """Lower a token's logit by `penalty` for every time that the model wrote it; the prompt does not count.

    >>> FrequencyPenalty(0.5)(torch.zeros(1, 3), History.of([[2, 0, 0, 1]], written=[3])).tolist()
    [[-1.0, -0.5, 0.0]]
    """

    penalty: Penalty
    """Below 0 encourages."""
    spare: tuple[int, ...] = ()
    """Tokens that are never penalised."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Weaken by how often."""
        said = counts(history.tokens, history.is_written, logits.shape[1])
        said = torch.where(_spared(said > 0, self.spare), said, 0)
        return logits - self.penalty * said


@dataclasses.dataclass(frozen=True)
class PresencePenalty(Settings):
    """Lower a token's logit by `penalty`, once, if the model wrote it; the prompt does not count.

    >>> PresencePenalty(0.5)(torch.zeros(1, 3), History.of([[2, 0, 0, 1]], written=[3])).tolist()
    [[-0.5, -0.5, 0.0]]
    """

    penalty: Penalty
    """Below 0 encourages."""
    spare: tuple[int, ...] = ()
    """Tokens that are never penalised."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Weaken what was written at all."""
        said = _spared(counts(history.tokens, history.is_written, logits.shape[1]) > 0, self.spare)
        return logits - self.penalty * said


@dataclasses.dataclass(frozen=True)
class NoRepeatNgram(Settings):
    """Forbid every token that would make a run of `size` tokens occur twice; the prompt counts.

    >>> NoRepeatNgram(2)(torch.zeros(1, 3), History.of([[0, 1, 0]])).tolist()
    [[0.0, -inf, 0.0]]
    """

    size: Count
    """1 forbids every token that was said."""
    spare: tuple[int, ...] = ()
    """Tokens that are never forbidden."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Forbid the second time."""
        tokens = history.tokens
        if tokens.shape[1] < self.size:
            return logits
        begun = tokens[:, tokens.shape[1] + 1 - self.size :]
        runs = tokens.unfold(1, self.size, 1)
        alike = (runs[..., :-1] == begun[:, None]).all(-1) & (begun != NO_TOKEN).all(-1, keepdim=True)
        seen = counts(runs[..., -1], alike, logits.shape[1]) > 0
        return logits.masked_fill(_spared(seen, self.spare), -math.inf)


@dataclasses.dataclass(frozen=True)
class Dry(Settings):
    """Lower the logit of a token that would go on with a repetition, steeply by how long that is already ("DRY").

    Where the last `m` tokens were seen before and token `t` followed them, `t` loses `multiplier x base^(m - allowed)`,
    for the longest such `m`, if `m >= allowed`. The prompt counts. By p-e-w, text-generation-webui #5677.

    >>> Dry(1.0, base=2.0, allowed=1)(torch.zeros(1, 4), History.of([[1, 2, 3, 1, 2]])).tolist()
    [[0.0, 0.0, 0.0, -2.0]]
    """

    multiplier: NonNegative
    """0 changes nothing; 0.8 is usual."""
    base: Annotated[float, Range(1)] = 1.75
    """By how much each further token of a repetition makes it dearer."""
    allowed: Count = 2
    """A repetition shorter than this is free."""
    breakers: tuple[int, ...] = ()
    """Tokens across which no repetition reaches, and which are never penalised."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Make repetitions dear."""
        tokens = history.tokens
        batch, time = tokens.shape
        if time < 2:
            return logits
        bounds = (tokens == NO_TOKEN) | torch.isin(tokens, ids(self.breakers, tokens.device))
        # length[i]: how many tokens right before place i are those at the end
        alike = torch.ones(batch, time, dtype=torch.bool, device=tokens.device)
        length = torch.zeros(batch, time, dtype=torch.int64, device=tokens.device)
        for back in range(1, min(LONGEST_MATCH, time - 1) + 1):
            same = (tokens[:, : time - back] == tokens[:, -back, None]) & ~bounds[:, -back, None]
            alike = alike & torch.nn.functional.pad(same, (back, 0))
            length = length + alike
        column = torch.where(bounds, logits.shape[1], tokens)
        longest = torch.zeros(batch, logits.shape[1] + 1, dtype=torch.int64, device=tokens.device)
        longest = longest.scatter_reduce_(1, column, length, "amax")[:, :-1]
        penalty = self.multiplier * self.base ** (longest - self.allowed).to(logits.dtype)
        return logits - torch.where(longest >= self.allowed, penalty, 0)
