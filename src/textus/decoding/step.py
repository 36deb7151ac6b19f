"""One step of writing: logits in, tokens and what is told about them out, copied to the host at once."""

from __future__ import annotations

import dataclasses
from typing import NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from textus.decoding.history import NO_TOKEN, History
from textus.decoding.piece import Alternative, LogprobsMode
from textus.decoding.sampler import Places
from textus.decoding.strategy import Strategy
from textus.errors import ArtefactError, ConfigError


@dataclasses.dataclass(frozen=True)
class Telling:
    """Say what is told about each token."""

    logprobs: LogprobsMode = "raw"
    """Whose log-probabilities."""
    alternatives: int = 0
    """How many of the likeliest tokens in its place."""


@dataclasses.dataclass(frozen=True)
class Choices:
    """The next token of each row, with what is told about it."""

    tokens: list[int]
    """`NO_TOKEN` where there is none that may follow."""
    logprobs: list[float]
    alternatives: list[tuple[Alternative, ...]]
    has_logits: bool
    """Whether the model itself gave probabilities to every row that is left without a token."""

    def at(self, row: int) -> tuple[int, float, tuple[Alternative, ...]]:
        """Return a row's token with its log-probability and its alternatives.

        Raises `ArtefactError` where the model gives no probabilities, `ConfigError` where the processors leave none.
        """
        if self.tokens[row] == NO_TOKEN:
            refuse(self.has_logits)
        return self.tokens[row], self.logprobs[row], self.alternatives[row]


@torch.inference_mode()
def choose(
    strategy: Strategy, logits: Float[Tensor, "batch vocab"], history: History, places: Places, telling: Telling
) -> Choices:
    """Choose each row's next token."""
    processed = strategy.process(logits, history)
    chosen = strategy.pick(processed, places)
    told = (logits if telling.logprobs == "raw" else processed).log_softmax(-1)
    logprobs = told.gather(1, chosen.clamp(min=0)[:, None]).squeeze(1)
    tokens = chosen.tolist()
    lost = [row for row, token in enumerate(tokens) if token == NO_TOKEN]
    has_logits = not lost or bool(logits[lost].amax(-1).isfinite().all())
    return Choices(tokens, logprobs.tolist(), _likeliest(told, telling.alternatives), has_logits)


def _likeliest(told: Float[Tensor, "batch vocab"], count: int) -> list[tuple[Alternative, ...]]:
    if not count:
        return [()] * len(told)
    best = told.topk(min(count, told.shape[1]))
    rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    # What cannot follow is no alternative.
    return [tuple(Alternative(*pair) for pair in zip(*row, strict=True) if pair[1] > -torch.inf) for row in rows]


def refuse(has_logits: bool) -> NoReturn:
    """Say who leaves no token: the processors, or the model itself."""
    if has_logits:
        raise ConfigError(
            "the settings leave no token that may follow",
            hint="forbid less: see bad_words, min_tokens, no_repeat_ngram, and the grammar if there is one",
        )
    raise ArtefactError(
        "the model gives no probabilities: its logits are not finite",
        hint="its weights are damaged or its training diverged; use an earlier checkpoint",
    )
