"""How likely a causal model holds the ends of texts to be, many at a time, what texts share read once.

Three things keep it fast: texts that begin alike are read as a tree (`trees`), what all begin with is read before them,
once for all; trees are laid end to end, so that matrices are multiplied with many rows and no padding; and the head
computes only what is asked, once for a state that several answers follow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from textus.errors import ConfigError, DivergenceError
from textus.evaluation.tasks.asks import Ask, common
from textus.evaluation.tasks.trees import Beginning, Forest, Tree, batches, trees
from textus.model.hidden import logit_rows
from textus.model.precision import Precision, autocast
from textus.model.transformer import Transformer
from textus.objectives.measure import evaluating

_CPU_TOKENS, _GPU_TOKENS = 2_048, 32_768
"""About how many tokens are read at once: what stays in reach of a CPU, and what keeps another device busy."""
_PAIRS = 2**24
"""How many pairs of a token and what it may see exist at a time, at most."""
_WORTH_SHARING = 24
"""Tokens that all texts must begin with before these are read by themselves."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a model says of an ask."""

    logprob: float
    """ln p of the asked tokens, summed."""
    is_greedy: bool
    """Whether each of them is the likeliest in its place."""
    tokens: int
    """How many were asked."""


def log_likelihoods(
    model: Transformer,
    groups: Sequence[Sequence[Ask]],
    *,
    precision: Precision = "fp32",
    batch_tokens: int | Literal["auto"] = "auto",
    advance: Callable[[float], None] = lambda _: None,
) -> list[list[Told]]:
    """Return what the model says of every ask; `advance` is told how many groups are done.

    No ask may have more than `context_length + 1` tokens. Raises `ConfigError` for a model that does not read from left
    to right, and `DivergenceError` where it gives no numbers.
    """
    if "causal" not in model.config.readings:
        raise ConfigError(
            "this model reads both ways, and has no log-likelihood from left to right",
            hint="its pseudo-log-likelihood is another number: scoring word-l2r",
        )
    rows = [ask for group in groups for ask in group]
    on_cpu = model.embedding.weight.device.type == "cpu"
    size = (_CPU_TOKENS if on_cpu else _GPU_TOKENS) if batch_tokens == "auto" else batch_tokens
    told: dict[int, Told] = {}
    with evaluating(model), torch.inference_mode(), autocast(model.embedding.weight.device, precision):
        beginning = _beginning(model, rows)
        before = len(beginning.tokens)
        # a layer that sees only what is near counts in rows, not in trees
        worth = 0 if model.config.hides_what_is_far else model.config.hidden_size
        grown = trees([ask.tokens[before:-1] for ask in rows], worth)
        for batch in batches(grown, before, size, _PAIRS):
            told.update(_read(model, beginning, batch, rows))
            advance(len(groups) * sum(len(tree.texts) for tree in batch) / len(rows))
    numbers = iter(range(len(rows)))
    return [[told[next(numbers)] for _ in group] for group in groups]


def _beginning(model: Transformer, rows: Sequence[Ask]) -> Beginning:
    """Read the tokens that all texts begin with, and that stand before the last given one, if they are worth it."""
    shared = min((ask.given - 1 for ask in rows), default=0)
    for ask in rows[1:]:
        shared = common(rows[0].tokens[:shared], ask.tokens[:shared])
    if shared < _WORTH_SHARING or len(rows) < 2 or model.config.hides_what_is_far:
        return Beginning(np.zeros(0, np.int64), [])
    beginning = Beginning(rows[0].tokens[:shared], [])
    tokens = _tensor(model, beginning.tokens)
    model.encode_at(tokens, torch.arange(shared, device=tokens.device), beginning)
    return beginning


def _read(model: Transformer, beginning: Beginning, grown: Sequence[Tree], rows: Sequence[Ask]) -> dict[int, Told]:
    """Read trees behind a beginning, and tell of each of their texts."""
    forest = Forest(grown, beginning, model.embedding.weight.device)
    if model.config.hides_what_is_far:
        padded = model.encode(forest.tokens[forest.rows], attention="causal")
        states = padded.flatten(0, 1).index_select(0, forest.places)
    else:
        states = model.encode_at(forest.tokens, forest.positions, forest)
    numbers, places, first = [], [], 0
    for tree in grown:
        for number, path in zip(tree.texts, tree.paths, strict=True):
            numbers.append(number)
            places.append(first + path[len(path) - rows[number].asked :])
        first += len(tree.tokens)
    needed, of_asked = np.unique(np.concatenate(places), return_inverse=True)
    targets = np.concatenate([rows[number].tokens[rows[number].given :] for number in numbers])
    logprobs, greedy = judged(model, states.index_select(0, _tensor(model, needed)), targets, of_asked)
    ends = np.cumsum([rows[number].asked for number in numbers]).tolist()
    told = {}
    for number, end in zip(numbers, ends, strict=True):
        part = slice(end - rows[number].asked, end)
        told[number] = Told(float(logprobs[part].sum()), bool(greedy[part].all()), rows[number].asked)
    return told


def judged(
    model: Transformer,
    states: Float[Tensor, "states hidden"],
    targets: Int[ndarray, " asked"],
    of_asked: Int[ndarray, " asked"],
) -> tuple[Float[ndarray, " asked"], Bool[ndarray, " asked"]]:
    """Return ln p of each target at the state that `of_asked` names, and whether it is the likeliest token there."""
    logprobs, greedy = np.zeros(len(targets)), np.zeros(len(targets), bool)
    size = logit_rows(model)
    for first, part in zip(range(0, len(states), size), torch.split(states, size), strict=True):
        here = np.flatnonzero((of_asked >= first) & (of_asked < first + size))
        logits = model.head(model.before_head(part)).float()
        owners = _tensor(model, of_asked[here] - first)
        chosen = logits[owners, _tensor(model, targets[here])]
        logprobs[here] = (chosen - logits.logsumexp(1)[owners]).cpu().double().numpy()
        greedy[here] = (chosen >= logits.amax(1)[owners]).cpu().numpy()
    if np.isnan(logprobs).any():
        raise not_numbers()
    return logprobs, greedy


def not_numbers() -> DivergenceError:
    """Say that a model's logits are no numbers."""
    return DivergenceError(
        "the model gives no probabilities: its logits are not numbers",
        hint="its weights are damaged or its training diverged; use an earlier checkpoint",
    )


def _tensor(model: Transformer, values: ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.int64)).to(model.embedding.weight.device)
