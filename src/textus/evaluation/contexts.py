"""What context buys and what it costs: the same tokens predicted from windows of several lengths.

A token is a target where at least as many tokens of its document stand before it as the longest window holds, so that
every length can score it. Windows of `L` tokens advance by `L / 2`, as in `perplexity`: a target is predicted from more
than `L / 2` tokens and at most `L`. In passing, every place of every window is scored: loss by how many tokens stand
before.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from textus.errors import ConfigError
from textus.evaluation.estimate import Measured, Tokens, ratio
from textus.evaluation.lengths import Contexts, Length, Place
from textus.evaluation.memory import Peak
from textus.evaluation.perplexity import token_nats
from textus.evaluation.targets import Targets
from textus.model.config import ModelConfig
from textus.model.rotary import Rotary
from textus.model.transformer import Transformer
from textus.objectives.measure import evaluating
from textus.progress import SILENT, Progress, Task
from textus.report import Score
from textus.tokenizer.tokenizer import Tokenizer
from textus.training.config import ModelSettings
from textus.training.extend import extended

MOST_TARGETS = 2**20
"""Targets that are measured at most, chosen evenly from all."""
_BATCH_TOKENS = 8192
"""Tokens in a pass, whatever the length, unless one window is longer."""


def evaluate_contexts(
    model: Transformer,
    tokenizer: Tokenizer,
    documents: Callable[[], Iterable[Measured]],
    lengths: Sequence[int],
    *,
    data: str,
    extrapolate: bool = False,
    most_targets: int = MOST_TARGETS,
    progress: Progress = SILENT,
) -> Contexts:
    """Measure a causal model on the same tokens of `documents` (END, text, END) with windows of several lengths.

    `documents` yields them anew at each call; they are gone through once for each length, and once more. `extrapolate`
    stretches the model's positions, by YaRN where nothing else was learnt, for lengths beyond its context, which are
    refused otherwise.
    """
    wanted, began = _checked(model, lengths, extrapolate), time.monotonic()
    targets = Targets.of(tokenizer, documents, wanted[-1], most_targets)
    total = 2 * targets.count * len(wanted)
    found: list[_Sums] = []
    with progress.task("contexts", total, "tokens") as task:
        for length in wanted:
            network = model if length <= model.config.context_length else stretched(model, length)
            found.append(_measure(network, targets, length, task))
    parts = tuple(
        _length(model, tokenizer.fingerprint, data, targets, length, sums, found[-1])
        for length, sums in zip(wanted, found, strict=True)
    )
    return Contexts(
        parts,
        targets.count,
        int(targets.unit_bytes.sum()),
        targets.num_documents,
        time.monotonic() - began,
        Peak.words(model.embedding.weight.device),
        targets.note(wanted),
    )


def stretched(model: Transformer, length: int) -> Transformer:
    """Return the same network with a longer context, its positions stretched as training would stretch them.

    It shares its weights with `model`. Raises `ConfigError` where the positions of the model cannot be stretched.
    """
    with torch.device("meta"):
        shape = Transformer(extended(model.config, ModelSettings(), length))
    mine = model.own_parameters()
    if any(name in mine and mine[name].shape != wanted.shape for name, wanted in shape.own_parameters().items()):
        raise ConfigError(
            f"the model has learnt {model.config.context_length} positions, and there are none beyond them",
            hint=f"give lengths up to {model.config.context_length}",
        )
    longer = copy.copy(model)
    longer.config = shape.config
    for name, value in vars(shape).items():
        if isinstance(value, Rotary):
            setattr(longer, name, value)
    return longer


def cache_bytes(config: ModelConfig, length: int, width: int) -> int:
    """Return what the keys and values of `length` tokens take, in numbers of `width` bytes."""
    return 2 * config.num_layers * config.num_kv_heads * config.head_size * length * width


def _checked(model: Transformer, lengths: Sequence[int], extrapolate: bool) -> list[int]:
    if "causal" not in model.config.readings or model.config.prediction_offset != 1:
        raise ConfigError(
            "this model reads both ways, and its hidden tokens have context on both sides",
            hint="measure a causal or hybrid model by --context",
        )
    wanted, context = sorted(set(lengths)), model.config.context_length
    if not wanted or wanted[0] < 2:
        raise ConfigError(
            f"a window of {wanted[0] if wanted else 'no'} tokens tells nothing of context",
            hint="give lengths from 2, as in --context 64,256",
        )
    if wanted[-1] > context and not extrapolate:
        raise ConfigError(
            f"the model reads at most {context} tokens, and {wanted[-1]} were asked for",
            hint=f"give lengths up to {context}, or add --extrapolate to see how it does beyond what it has learnt",
        )
    return wanted


@dataclass(frozen=True, eq=False)
class _Sums:
    """What the windows of one length came to."""

    nats: Float[ndarray, " units"]
    place_nats: Float[ndarray, "units places"]
    place_tokens: Int[ndarray, "units places"]
    tokens_per_second: float
    peak_bytes: int


def _measure(model: Transformer, targets: Targets, length: int, task: Task) -> _Sums:
    """Read all windows of one length; the first pass is made once more before, so that no start is timed."""
    units, places = len(targets.unit_tokens), np.log2(np.arange(1, length + 1)).astype(np.int64)
    nats, count = np.zeros(units), int(places[-1]) + 1
    by_place, counts = np.zeros(units * count), np.zeros(units * count, np.int64)
    rows, seconds, read, is_warm = max(1, _BATCH_TOKENS // length), 0.0, 0, False
    with evaluating(model), torch.inference_mode(), Peak(model.embedding.weight.device) as peak:
        for tokens, new, unit in _batches(targets.windows(length), rows):
            if not is_warm:
                _pass(model, tokens)
                is_warm = True
            start = time.perf_counter()
            found = _pass(model, tokens)
            seconds += time.perf_counter() - start
            read += found.size
            inside = np.arange(length) >= length - new[:, None]
            np.add.at(nats, unit, np.where(inside, found, 0).sum(1))
            cells = (unit[:, None] * count + places).ravel()
            by_place += np.bincount(cells, found.ravel(), units * count)
            counts += np.bincount(cells, minlength=units * count)
            task.advance(2 * int(new.sum()))
    shape = units, count
    return _Sums(nats, by_place.reshape(shape), counts.reshape(shape), read / max(seconds, 1e-9), peak.bytes)


def _batches(
    windows: Iterator[tuple[Tokens, int, int]], rows: int
) -> Iterator[tuple[Int[ndarray, "rows time"], Int[ndarray, " rows"], Int[ndarray, " rows"]]]:
    waiting: list[tuple[Tokens, int, int]] = []
    for window in windows:
        waiting.append(window)
        if len(waiting) == rows:
            yield _stacked(waiting)
            waiting = []
    if waiting:
        yield _stacked(waiting)


def _stacked(
    windows: Sequence[tuple[Tokens, int, int]],
) -> tuple[Int[ndarray, "rows time"], Int[ndarray, " rows"], Int[ndarray, " rows"]]:
    tokens, new, units = zip(*windows, strict=True)
    return np.stack(tokens).astype(np.int64), np.array(new, np.int64), np.array(units, np.int64)


def _pass(model: Transformer, rows: Int[ndarray, "rows time"]) -> Float[ndarray, "rows time-1"]:
    """Return -ln p of every token but the first of each row."""
    tokens = torch.from_numpy(rows).to(model.embedding.weight.device)
    states: Tensor = model.encode(tokens[:, :-1], attention="causal")
    found: Float[ndarray, "rows time-1"] = (
        token_nats(model, states.flatten(0, 1), tokens[:, 1:].flatten()).double().view(len(rows), -1).cpu().numpy()
    )
    return found


def _length(
    model: Transformer, tokenizer: str, data: str, targets: Targets, length: int, sums: _Sums, longest: _Sums
) -> Length:
    tokens, num_bytes = (
        targets.summed(values.astype(np.float64)) for values in (targets.unit_tokens, targets.unit_bytes)
    )
    loss, error = _ratio(targets.summed(sums.nats), tokens)
    bits, bits_error = _ratio(targets.summed(sums.nats) / math.log(2), num_bytes)
    difference, difference_error = _ratio(targets.summed(sums.nats - longest.nats), tokens)
    names = f"loss_at_{length}", f"bits_per_byte_at_{length}"
    return Length(
        length,
        Score(names[0], loss, error, "nats/token", tokenizer, data),
        Score(names[1], bits, bits_error, "bits/byte", tokenizer, data),
        difference,
        difference_error,
        sums.tokens_per_second,
        cache_bytes(model.config, length, model.embedding.weight.element_size()),
        sums.peak_bytes,
        length > model.config.context_length,
        tuple(_places(targets, length, sums)),
    )


def _places(targets: Targets, length: int, sums: _Sums) -> Iterator[Place]:
    for number in range(sums.place_nats.shape[1]):
        nats, tokens = (
            targets.summed(values[:, number].astype(np.float64)) for values in (sums.place_nats, sums.place_tokens)
        )
        loss, error = _ratio(nats, tokens)
        yield Place(2**number, min(2 ** (number + 1) - 1, length), loss, error, int(tokens.sum()))


def _ratio(numerators: Float[ndarray, " units"], denominators: Float[ndarray, " units"]) -> tuple[float, float]:
    """Return a ratio of sums with its error, which a single unit does not tell."""
    if len(numerators) > 1:
        return ratio(numerators, denominators)
    return float(numerators.sum() / denominators.sum()), math.inf
