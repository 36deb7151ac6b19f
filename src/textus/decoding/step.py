"""One step of writing: logits in, tokens and what is told about them out, copied to the host at once."""

from __future__ import annotations

import dataclasses
from typing import NoReturn

import torch
from jaxtyping import Float, Int
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


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """The next token of each row, still on the device: nothing has waited for it yet."""

    tokens: Int[Tensor, " batch"]
    logprobs: Float[Tensor, " batch"]
    likeliest: tuple[Float[Tensor, "batch count"], Int[Tensor, "batch count"]] | None
    logits: Float[Tensor, "batch vocab"]
    """The model's own."""
    arrival: torch.cuda.Event | None = None
    """When the host has what is told, if it is on its way."""

    def fetched(self) -> Drawn:
        """Let what is told be on its way to the host, so that `told` waits for nothing that begins later."""
        if not self.tokens.is_cuda:
            return self
        likeliest = self.likeliest and tuple(part.to("cpu", non_blocking=True) for part in self.likeliest)
        tokens, logprobs = (part.to("cpu", non_blocking=True) for part in (self.tokens, self.logprobs))
        arrival = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrival.record()
        return Drawn(tokens, logprobs, (likeliest[0], likeliest[1]) if likeliest else None, self.logits, arrival)

    def told(self) -> Choices:
        """Wait for the device, and say what was drawn."""
        if self.arrival:
            self.arrival.synchronize()
        tokens = self.tokens.tolist()
        lost = [row for row, token in enumerate(tokens) if token == NO_TOKEN]
        has_logits = not lost or bool(self.logits[lost].amax(-1).isfinite().all())
        alternatives: list[tuple[Alternative, ...]] = [()] * len(tokens)
        if self.likeliest:
            rows = zip(*(part.tolist() for part in self.likeliest), strict=True)
            # What cannot follow is no alternative.
            alternatives = [
                tuple(Alternative(token, value) for value, token in zip(*row, strict=True) if value > -torch.inf)
                for row in rows
            ]
        return Choices(tokens, self.logprobs.tolist(), alternatives, has_logits)


@torch.inference_mode()
def draw(
    strategy: Strategy, logits: Float[Tensor, "batch vocab"], history: History, places: Places, telling: Telling
) -> Drawn:
    """Choose each row's next token, without waiting for the device."""
    kept = strategy.narrow(logits, history)
    if kept is None:
        processed = strategy.process(logits, history)
        chosen = strategy.pick(processed, places)
        told, tokens, columns = processed, None, chosen
    else:
        told, tokens, columns = kept.logits, kept.tokens, strategy.pick_among(kept, places)
        chosen = torch.where(columns == NO_TOKEN, NO_TOKEN, tokens.gather(1, columns.clamp(min=0)[:, None]).squeeze(1))
    if telling.logprobs == "raw":
        told, tokens, columns = logits, None, chosen
    total = told.logsumexp(-1, keepdim=True)
    logprobs = (told.gather(1, columns.clamp(min=0)[:, None]) - total).squeeze(1)
    if not telling.alternatives:
        return Drawn(chosen, logprobs, None, logits)
    best = told.topk(min(telling.alternatives, told.shape[1]))
    names = best.indices if tokens is None else tokens.gather(1, best.indices)
    return Drawn(chosen, logprobs, (best.values - total, names), logits)


def choose(
    strategy: Strategy, logits: Float[Tensor, "batch vocab"], history: History, places: Places, telling: Telling
) -> Choices:
    """Choose each row's next token, and wait for it."""
    return draw(strategy, logits, history, places, telling).told()


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
