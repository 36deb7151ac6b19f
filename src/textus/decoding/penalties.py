"""Processors that make what was said already less likely.

`spare` names tokens that are never penalised: those that end a text or a turn. A model punished for having ended
its last turn does not end this one (llama.cpp #331). `strategy_of` fills it in.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from textus.config import Count, NonNegative, Positive, Range, Settings
from textus.decoding.history import NO_TOKEN, History, ids

Penalty = Annotated[float, Range(-2, 2)]
"""What the protocol of OpenAI allows."""
LONGEST_MATCH = 50
"""DRY compares no further back than this; the penalty of such a repetition is beyond any logit."""


class _Said(NamedTuple):
    """The tokens that were said: few beside the vocabulary, so nothing is computed of the others."""

    tokens: Int[Tensor, "batch places"]
    """A token may stand in several places. Places that do not count have a token that does, if the row has one."""
    times: Int[Tensor, "batch places"]
    """How often each was said; 0 throughout where nothing counts."""

    @classmethod
    def of(
        cls, tokens: Int[Tensor, "batch places"], counted: Bool[Tensor, "batch places"], spare: tuple[int, ...]
    ) -> _Said:
        """Count the tokens in the places that are `counted`, but for those to spare."""
        known = counted & (tokens != NO_TOKEN) & ~torch.isin(tokens, ids(spare, tokens.device))
        one = tokens.gather(1, known.int().argmax(1, keepdim=True))
        found = torch.where(known, tokens, torch.where(known.any(1, keepdim=True), one, 0))
        ordered = torch.where(known, tokens, torch.iinfo(torch.int64).max).sort(1).values
        times = torch.searchsorted(ordered, found, right=True) - torch.searchsorted(ordered, found)
        return cls(found, times)


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
        return self.change(logits.clone(), history)

    def change(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Do so to these logits."""
        tokens, counted = history.tokens, history.is_written
        if self.scope == "all":
            counted = torch.ones_like(counted)
        if self.window != "all":
            tokens, counted = tokens[:, -self.window :], counted[:, -self.window :]
        if not tokens.shape[1]:
            return logits
        said = _Said.of(tokens, counted, self.spare)
        own = logits.gather(1, said.tokens)
        penalised = torch.where(own < 0, own * self.penalty, own / self.penalty)
        return logits.scatter_(1, said.tokens, torch.where(said.times > 0, penalised, own))


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
        return self.change(logits.clone(), history)

    def change(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Do so to these logits."""
        if not history.tokens.shape[1]:
            return logits
        said = _Said.of(history.tokens, history.is_written, self.spare)
        return logits.scatter_(1, said.tokens, logits.gather(1, said.tokens) - self.penalty * said.times)


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
        return self.change(logits.clone(), history)

    def change(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Do so to these logits."""
        if not history.tokens.shape[1]:
            return logits
        said = _Said.of(history.tokens, history.is_written, self.spare)
        return logits.scatter_(1, said.tokens, logits.gather(1, said.tokens) - self.penalty * (said.times > 0))


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
        return self.change(logits.clone(), history)

    def change(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Do so to these logits."""
        tokens = history.tokens
        if tokens.shape[1] < self.size:
            return logits
        begun = tokens[:, tokens.shape[1] + 1 - self.size :]
        runs = tokens.unfold(1, self.size, 1)
        alike = (runs[..., :-1] == begun[:, None]).all(-1) & (begun != NO_TOKEN).all(-1, keepdim=True)
        said = _Said.of(runs[..., -1], alike, self.spare)
        own = logits.gather(1, said.tokens)
        return logits.scatter_(1, said.tokens, own.masked_fill(said.times > 0, -math.inf))


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
        return self.change(logits.clone(), history)

    def change(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Do so to these logits."""
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
            if tokens.device.type == "cpu" and not alike.any():
                break  # nothing repeats for so long; to ask a GPU would cost more than to go on
            length = length + alike
        column = torch.where(bounds, 0, tokens)
        own = logits.gather(1, column)
        penalty = self.multiplier * self.base ** (length - self.allowed).to(logits.dtype)
        lowered = own - torch.where((length >= self.allowed) & ~bounds, penalty, 0)
        # of several places of a token, the one in the longest repetition counts, which takes most
        return logits.scatter_reduce_(1, column, lowered, "amin")
