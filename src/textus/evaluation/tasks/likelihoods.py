"""How likely a causal model holds the ends of texts to be, many at a time, what texts share read once.

Three things keep it fast: texts of like length stand together; of a question with several answers the question is read
once, and the answers go on from what the cache holds of it; and so do all questions from the examples before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from textus.errors import ConfigError, DivergenceError
from textus.evaluation.tasks.asks import Ask, common
from textus.model.cache import KeyValueCache
from textus.model.precision import Precision, autocast, compute_dtype
from textus.model.transformer import Transformer
from textus.objectives.measure import evaluating

BATCH_TOKENS = 8_192
"""About how many tokens are read at once."""
_CACHE_BYTES = 2**28
_LOGITS = 2**24
"""How many logits exist at a time, at most: 64 MB of float32."""
_WORTH_SHARING = 24
"""Tokens that must be spared before a common beginning is read by itself."""
_SLACK = 8
"""By how many tokens questions read together may differ; what is not shared is read with each answer."""
_ENOUGH = 1_024
"""Tokens that keep a processor busy: where questions of one length have so many, no others are read with them."""
_PADDING = 1.15
"""By how much the longest of the rows that are read together may exceed the shortest, but for a token or two."""


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
    batch_tokens: int = BATCH_TOKENS,
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
    found: list[list[Told]] = [[] for _ in groups]
    with evaluating(model), torch.inference_mode(), autocast(model.embedding.weight.device, precision):
        start = _Start.of(model, groups)
        for batch in _batches(groups, len(start.tokens), _most_rows(model), batch_tokens):
            told = iter(_read(model, start, [list(groups[number]) for number in batch.groups], batch.shared))
            for number in batch.groups:
                found[number] = [next(told) for _ in groups[number]]
            advance(len(batch.groups))
    return found


@dataclass(frozen=True, eq=False)
class _Start:
    """The tokens that all texts begin with, and what the cache holds of them."""

    tokens: Int[ndarray, " time"]
    cache: KeyValueCache | None

    @classmethod
    def of(cls, model: Transformer, groups: Sequence[Sequence[Ask]]) -> _Start:
        rows = [ask for group in groups for ask in group]
        shared = _shared(rows)
        if shared < _WORTH_SHARING or len(rows) < 2:
            return cls(np.zeros(0, np.int64), None)
        tokens = rows[0].tokens[:shared]
        cache = _new_cache(model, 1, shared)
        model.encode(_tensor(model, tokens[None]), cache=cache, attention="causal")
        return cls(tokens, cache)


def widened(
    model: Transformer, cache: KeyValueCache | None, rows: Int[Tensor, " rows"], capacity: int
) -> KeyValueCache:
    """Return a cache with room for `capacity` positions that holds rows of another, as often as they are named."""
    wide = _new_cache(model, len(rows), capacity)
    if cache is not None:
        wide.begin_with(cache, rows.to(model.embedding.weight.device))
    return wide


def _new_cache(model: Transformer, rows: int, capacity: int) -> KeyValueCache:
    weight = model.embedding.weight
    return KeyValueCache(model.config, rows, capacity, weight.device, compute_dtype(weight))


@dataclass(frozen=True)
class _Batch:
    groups: list[int]
    shared: int
    """Tokens that each group reads once, the start included; 0 where its rows are read whole."""


def _batches(
    groups: Sequence[Sequence[Ask]], start: int, most_rows: Callable[[int], int], batch_tokens: int
) -> Iterator[_Batch]:
    """Put groups together that share beginnings of like length, and the others by the length of their rows."""
    shared = [_worth(group, start) for group in groups]
    longest = [max((len(ask.tokens) for ask in group), default=0) for group in groups]
    order = sorted((number for number, group in enumerate(groups) if group), key=lambda n: (shared[n], longest[n]))
    batch: list[int] = []
    rows = width = 0
    for number in reversed(order):  # the longest first: memory that does not suffice is seen at once
        more, wider = rows + len(groups[number]), max(width, longest[number])
        head, uses_cache = shared[number] or start, bool(shared[number] or start)
        full = batch and (
            (len(batch) + 1) * (head - start) + more * (wider - head) > batch_tokens
            or (uses_cache and more > most_rows(wider))
            or bool(shared[number]) != bool(shared[batch[0]])
            or shared[batch[0]] - shared[number] > (_SLACK if len(batch) * (head - start) < _ENOUGH else 0)
        )
        if full:
            yield _Batch(batch, shared[batch[-1]])
            batch, more, wider = [], len(groups[number]), longest[number]
        batch.append(number)
        rows, width = more, wider
    if batch:
        yield _Batch(batch, shared[batch[-1]])


def _worth(group: Sequence[Ask], start: int) -> int:
    """Return how many tokens the asks of a group share, or 0 where reading them once spares little."""
    shared = _shared(group) if len(group) > 1 else 0
    return shared if (shared - start) * (len(group) - 1) >= _WORTH_SHARING else 0


def _shared(rows: Sequence[Ask]) -> int:
    """Count the tokens that all rows begin with, and that stand before the last given one."""
    if not rows:
        return 0
    shared = min(ask.given for ask in rows) - 1
    for ask in rows[1:]:
        if shared <= 0:
            break
        shared = common(rows[0].tokens[:shared], ask.tokens[:shared])
    return max(0, shared)


def _most_rows(model: Transformer) -> Callable[[int], int]:
    """Return how many rows a cache may have, by its length."""
    config = model.config
    position = 2 * config.num_layers * config.num_kv_heads * config.head_size * model.embedding.weight.element_size()
    return lambda length: max(1, _CACHE_BYTES // (position * length))


def _read(model: Transformer, start: _Start, groups: list[list[Ask]], shared: int) -> list[Told]:
    """Read groups whose rows share their first `shared` tokens, and tell of each row."""
    rows = [ask for group in groups for ask in group]
    begun, cache = len(start.tokens), start.cache
    owners = np.zeros(len(rows), np.int64)
    if shared > begun:
        heads = np.stack([group[0].tokens[begun:shared] for group in groups])
        cache = widened(model, cache, torch.zeros(len(groups), dtype=torch.long), shared)
        model.encode(_tensor(model, heads), cache=cache, attention="causal")
        owners, begun = np.repeat(np.arange(len(groups)), [len(group) for group in groups]), shared
    found: dict[int, Told] = {}
    for alike in _alike([len(ask.tokens) - begun for ask in rows]):
        part = [rows[number] for number in alike]
        capacity = max(len(ask.tokens) for ask in part) - 1
        of_part = widened(model, cache, torch.from_numpy(owners[alike]), capacity) if cache else None
        found.update(zip(alike, _tell(model, part, begun, of_part), strict=True))
    return [found[number] for number in range(len(rows))]


def _alike(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Put rows together that are nearly of one size, the longest first.

    >>> list(_alike([2, 40, 3, 37, 20]))
    [[1, 3], [4], [2, 0]]
    """
    part: list[int] = []
    for number in sorted(range(len(sizes)), key=lambda number: -sizes[number]):
        if part and sizes[part[0]] > _PADDING * sizes[number] + 2:
            yield part
            part = []
        part.append(number)
    if part:
        yield part


def _tell(model: Transformer, rows: list[Ask], begun: int, cache: KeyValueCache | None) -> Iterator[Told]:
    """Read the rows from `begun` on; what pads a row stands behind it, where a causal model does not look."""
    width = max(len(ask.tokens) for ask in rows) - 1 - begun
    tokens = np.zeros((len(rows), width), np.int64)
    asked = np.zeros(tokens.shape, bool)
    for ask, line, mark in zip(rows, tokens, asked, strict=True):
        stop = len(ask.tokens) - 1 - begun
        line[:stop] = ask.tokens[begun:-1]
        mark[stop - ask.asked : stop] = True
    states = model.encode(_tensor(model, tokens), cache=cache, attention="causal")
    wanted = states[torch.from_numpy(asked).to(states.device)]
    targets = np.concatenate([ask.tokens[ask.given :] for ask in rows])
    logprobs, greedy = judged(model, wanted, targets)
    ends = np.cumsum([ask.asked for ask in rows])
    for ask, end in zip(rows, ends.tolist(), strict=True):
        part = slice(end - ask.asked, end)
        yield Told(float(logprobs[part].sum()), bool(greedy[part].all()), ask.asked)


def judged(
    model: Transformer, states: Float[Tensor, "asked hidden"], targets: Int[ndarray, " asked"]
) -> tuple[Float[ndarray, " asked"], ndarray]:
    """Return ln p of a target at each state, and whether it is the likeliest token there."""
    wanted = _tensor(model, targets)
    size = max(1, _LOGITS // model.config.vocab_size)
    logprobs, greedy = [], []
    for part, target in zip(torch.split(states, size), torch.split(wanted, size), strict=True):
        logits = model.head(model.before_head(part)).float()
        chosen = logits.gather(1, target[:, None]).squeeze(1)
        logprobs.append(chosen - logits.logsumexp(1))
        greedy.append(chosen >= logits.amax(1))
    found: Float[ndarray, " asked"] = torch.cat(logprobs).double().cpu().numpy()
    if np.isnan(found).any():
        raise not_numbers()
    return found, torch.cat(greedy).cpu().numpy()


def not_numbers() -> DivergenceError:
    """Say that a model's logits are no numbers."""
    return DivergenceError(
        "the model gives no probabilities: its logits are not numbers",
        hint="its weights are damaged or its training diverged; use an earlier checkpoint",
    )


def _tensor(model: Transformer, values: ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.int64)).to(model.embedding.weight.device)
