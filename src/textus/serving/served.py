"""What the engine's process holds of one model, with what the floors above know to do with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy import ndarray

from textus import config as settings
from textus.checkpoint.checkpoint import Checkpoint
from textus.decoding import words
from textus.decoding.chat import Form, Message, check_turns, fit
from textus.decoding.config import SamplingConfig
from textus.decoding.constrain import Grammar
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine
from textus.decoding.fill import Filling
from textus.decoding.prompt import framed
from textus.decoding.strategy import Strategy
from textus.decoding.writer import Ending
from textus.model.hidden import logarithms
from textus.serving.config import Limits
from textus.serving.refusal import Refusal

Embed = Callable[[Sequence[str], "int | Literal['all']"], ndarray]
_STRATEGIES = 256
"""So many ways of writing are kept: texts that are written in one way are drawn together."""
_PIECE = 512
"""Tokens of a prompt whose log-probabilities are computed at a time."""


@dataclass(frozen=True)
class Prompt:
    """What a model reads before it writes."""

    tokens: list[int]
    text: str


@dataclass(frozen=True)
class Told:
    """A token, and how likely it was."""

    token: int
    logprob: float | None
    """None for the first of a prompt, before which nothing stands."""
    alternatives: tuple[tuple[int, float], ...] = ()


@dataclass(eq=False)
class Served:
    """One model under its name."""

    name: str
    opened: Checkpoint
    sampling: SamplingConfig
    """How it writes where a request does not say."""
    form: Form
    """How a conversation is written down."""
    strategy: Callable[[SamplingConfig, Grammar | None], Strategy]
    embed: Embed
    fill: Callable[[str, int], Filling]
    limits: Limits
    engine: Engine | None = field(init=False, default=None)
    """None for a model that does not write from left to right."""
    _strategies: dict[SamplingConfig, Strategy] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        config, limits = self.opened.config, self.limits
        if (config.attention, config.prediction_offset) == ("causal", 1) and not config.hides_what_is_far:
            sizes = EngineConfig(
                batch_size=limits.batch_size, cache_tokens=limits.cache_tokens, fixed_batch=limits.fixed_batch
            )
            self.engine = Engine(self.opened.model, self.opened.tokenizer, sizes)

    def facts(self) -> dict[str, Any]:
        """Return what the other process knows of it."""
        config = self.opened.config
        return {
            "name": self.name,
            "context_length": config.context_length,
            "writes": self.engine is not None,
            "fills": "bidirectional" in config.readings,
            "mask": _mask(self.opened),
            "dimensions": config.hidden_size,
            "max_tokens": self.sampling.max_tokens,
            "sampling": self.strategy(self.sampling, None).describe() if self.engine else [],
            "has_template": not isinstance(getattr(self.form, "system", None), str),
        }

    def prompt(self, given: str | Sequence[int]) -> Prompt:
        """Return a prompt: a text behind the token that begins texts, or tokens as they are."""
        tokenizer = self.opened.tokenizer
        tokens = framed(self.opened.model, tokenizer, given, bare=not isinstance(given, str))
        return Prompt(tokens, given if isinstance(given, str) else tokenizer.decode(given, skip_special=True))

    def turns(self, messages: Sequence[Mapping[str, str]], shorten: bool, max_tokens: int) -> tuple[Prompt, int]:
        """Return a conversation as a prompt, and how many exchanges were left out for want of room.

        None is, unless `shorten` allows it.
        """
        turns = [Message(str(one["role"]), str(one["content"])) for one in messages]  # type: ignore[arg-type]
        check_turns(turns)
        tokenizer, context, left_out = self.opened.tokenizer, self.opened.config.context_length, 0

        def size(prompt: str | list[int]) -> int:
            return len(tokenizer.encode(prompt) if isinstance(prompt, str) else prompt)

        if shorten:
            turns, left_out = fit(turns, self.form, size, context - 1 - min(max_tokens, context // 4))
        return self.prompt(self.form.prompt(turns)), left_out

    def way(self, config: SamplingConfig, grammar: Grammar | None) -> Strategy:
        """Return how the next token is chosen; equal settings have one object, so that they are drawn together."""
        if grammar is not None:  # its parser follows one request
            return self.strategy(config, grammar)
        steps = settings.replace(config, {"seed": 0, "max_tokens": 1})
        if steps not in self._strategies:
            if len(self._strategies) >= _STRATEGIES:
                self._strategies.clear()
            self._strategies[steps] = self.strategy(config, None)
        return self._strategies[steps]

    def ending(self, config: SamplingConfig, max_tokens: int) -> Ending:
        """Return where a text ends, besides where the model ends it."""
        ends = {*words.stop_tokens(self.opened.tokenizer, config.stop_tokens), *self.opened.ends}
        return Ending(max_tokens, config.stop, frozenset(ends), config.stop_loops)

    @torch.inference_mode()
    def likelihoods(self, tokens: Sequence[int], top: int) -> list[Told]:
        """Return how likely each token of a prompt is behind those before it, by the model itself."""
        model, size = self.opened.model, self.opened.tokenizer.vocab_size
        given = torch.tensor([list(tokens)], device=model.embedding.weight.device)
        states = model.encode(given, attention="causal")[0, :-1]
        told = [Told(tokens[0], None)]
        for start in range(0, len(states), _PIECE):
            values = logarithms(model, states[start : start + _PIECE])[:, :size]
            named = given[0, start + 1 : start + 1 + len(values)]
            own = values.gather(1, named[:, None]).squeeze(1).tolist()
            best = values.topk(min(top, size)) if top else None
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True) if best else iter([])
            for token, value in zip(named.tolist(), own, strict=True):
                told.append(Told(token, value, tuple(zip(*next(pairs), strict=True)) if best else ()))
        return told


def sampling_of(base: SamplingConfig, given: Mapping[str, Any]) -> SamplingConfig:
    """Return a model's settings with those of a request in their place."""
    return settings.replace(base, {**given, "beams": 1})


def grammar_of(given: Mapping[str, Any] | None) -> Grammar | None:
    """Return the grammar of a request, if it has one."""
    return Grammar("json", json.dumps(given)) if given is not None else None


def numbers(rows: ndarray) -> list[list[float]]:
    """Return vectors as lists."""
    return [[float(value) for value in row] for row in np.asarray(rows, np.float32)]


def _mask(opened: Checkpoint) -> str:
    if "bidirectional" not in opened.config.readings:
        return ""
    return opened.tokenizer.token_bytes(opened.tokenizer.mask).decode().strip()


def writer(served: Served) -> Engine:
    """Return a model's engine, or refuse what needs one."""
    if served.engine is None:
        words = f"`{served.name}` does not write from left to right; it can fill and embed"
        raise Refusal(400, words, param="model", code="invalid_value")
    return served.engine
