"""Answers that a model writes, the likeliest token each time, many prompts at a time; and whether they are right."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray

from textus.decoding.history import NO_TOKEN
from textus.decoding.sampler import best
from textus.decoding.writer import Ending, Writer
from textus.errors import ConfigError
from textus.evaluation.tasks.asks import Tokens, common
from textus.evaluation.tasks.config import TaskConfig
from textus.evaluation.tasks.likelihoods import not_numbers
from textus.model.cache import KeyValueCache
from textus.model.precision import Precision, autocast, compute_dtype
from textus.model.transformer import Transformer
from textus.objectives.measure import evaluating
from textus.tokenizer.tokenizer import Tokenizer

_ROWS = 64
"""So many answers are written side by side, at most."""
_WORTH_SHARING = 16
"""Tokens that all prompts must begin with before these are read by themselves."""


def write_answers(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[Tokens],
    *,
    max_tokens: int,
    stop: Sequence[str] = (),
    precision: Precision = "fp32",
    advance: Callable[[float], None] = lambda _: None,
) -> list[str]:
    """Continue each prompt (END first) by its likeliest tokens, up to a stop string, END, or the end of the context.

    Prompts of the same length are written side by side; what all prompts begin with is read once. No prompt may have
    more than `context_length` tokens. Raises `ConfigError` for a model that cannot write.
    """
    if "causal" not in model.config.readings:
        raise ConfigError(
            "this model reads both ways and cannot write answers from left to right",
            hint="ask it choices, pairs or last words, or train with objective.name=hybrid",
        )
    found = [""] * len(prompts)
    context = model.config.context_length
    with evaluating(model), torch.inference_mode(), autocast(model.embedding.weight.device, precision):
        start = _start(model, prompts)
        for group in _alike(prompts):
            tokens = np.stack([prompts[number] for number in group])
            # the last token that is written need not be read
            ending = Ending(min(max_tokens, context + 1 - tokens.shape[1]), stop)
            for number, text in _written(model, tokenizer, start, tokens, group, ending):
                found[number] += text
            advance(len(group))
    return found


def is_right(written: str, answers: Sequence[str], config: TaskConfig) -> bool:
    r"""Tell whether what was written is one of the answers, as `pattern`, `ignore` and `ignore_case` say.

    >>> config = TaskConfig(kind="generation", pattern=r"#### (-?[\d,]+)", ignore=(",",))
    >>> is_right(" 1 + 1,199 = 1,200\n#### 1,200", ["1200"], config), is_right(" 1200", ["1200"], config)
    (True, False)
    """
    if config.pattern:
        matches = list(re.finditer(config.pattern, written))
        if not matches:
            return False
        written = matches[-1][1] if matches[-1].re.groups else matches[-1][0]
    return _plain(written or "", config) in {_plain(answer, config) for answer in answers}


def _plain(text: str, config: TaskConfig) -> str:
    for pattern in config.ignore:
        text = re.sub(pattern, "", text)
    text = text.strip()
    return text.casefold() if config.ignore_case else text


def _alike(prompts: Sequence[Tokens]) -> Iterator[list[int]]:
    """Yield the numbers of prompts of one length, the longest first."""
    by_length: dict[int, list[int]] = {}
    for number, prompt in enumerate(prompts):
        by_length.setdefault(len(prompt), []).append(number)
    for length in sorted(by_length, reverse=True):
        numbers = by_length[length]
        yield from (numbers[first : first + _ROWS] for first in range(0, len(numbers), _ROWS))


def _start(model: Transformer, prompts: Sequence[Tokens]) -> KeyValueCache | None:
    """Read what all prompts begin with, their last tokens excepted."""
    shared = min((len(prompt) - 1 for prompt in prompts), default=0)
    for prompt in prompts[1:]:
        shared = common(prompts[0][:shared], prompt[:shared])
    if shared < _WORTH_SHARING or len(prompts) < 2:
        return None
    cache = _new_cache(model, 1, shared)
    tokens = torch.from_numpy(prompts[0][None, :shared]).to(model.embedding.weight.device)
    model.encode(tokens, cache=cache, attention="causal")
    return cache


def _new_cache(model: Transformer, rows: int, capacity: int) -> KeyValueCache:
    weight = model.embedding.weight
    return KeyValueCache(model.config, rows, capacity, weight.device, compute_dtype(weight))


def _written(
    model: Transformer,
    tokenizer: Tokenizer,
    start: KeyValueCache | None,
    tokens: Int[ndarray, "rows time"],
    numbers: Sequence[int],
    ending: Ending,
) -> Iterator[tuple[int, str]]:
    """Yield pieces of text, each with the number of its prompt."""
    writers = [Writer(tokenizer, ending, number) for number in numbers]
    device = model.embedding.weight.device
    capacity = tokens.shape[1] + ending.max_tokens - 1
    cache = _new_cache(model, len(writers), capacity)
    if start is not None:
        cache.begin_with(start, torch.zeros(len(writers), dtype=torch.long, device=device))
    unread = torch.from_numpy(tokens[:, cache.length :]).to(device)
    while True:
        states = model.encode(unread, cache=cache, attention="causal")[:, -1]
        chosen = best(model.head(model.before_head(states)).float()[:, : tokenizer.vocab_size])
        going = []
        for row, (writer, token) in enumerate(zip(writers, chosen.tolist(), strict=True)):
            if token == NO_TOKEN:
                raise not_numbers()
            piece = writer.write(token, 0.0)
            yield writer.row, piece.text
            if not piece.finish_reason:
                going.append(row)
        if not going:
            return
        if len(going) < len(writers):
            kept = torch.tensor(going, device=device)
            cache.select(kept)
            chosen = chosen.index_select(0, kept)
            writers = [writers[row] for row in going]
        unread = chosen[:, None]
