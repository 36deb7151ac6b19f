"""Perplexity and bits per byte of a causal model, in one pass, with standard errors."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import cross_entropy

from textus.config import Count, Range, check
from textus.errors import ConfigError
from textus.evaluation.estimate import Evaluation, Measured, Tally
from textus.model.precision import Precision, autocast
from textus.model.transformer import Transformer
from textus.objectives.measure import evaluating
from textus.progress import SILENT, Progress
from textus.tokenizer.tokenizer import Tokenizer

_MINIMUM_LENGTH = 16
_LOGITS = 2**24
"""How many logits exist at a time, at most: 64 MB of float32."""


def evaluate(
    model: Transformer,
    tokenizer: Tokenizer,
    documents: Iterable[Measured],
    *,
    data: str,
    stride: int,
    batch_rows: int = 32,
    precision: Precision = "fp32",
    progress: Progress = SILENT,
) -> Evaluation:
    """Measure a model on documents (END, text, END) and their UTF-8 sizes; `data` is the fingerprint of the texts.

    Each document is read by itself, in windows of `context_length` tokens of which the last `stride` are new, so that a
    token is predicted from at least `context_length - stride` others (all there are, near the document's start). Every
    token after the first END is predicted exactly once, the last END too. Bits per byte divide all nats, those of END
    as well, by the bytes of the text alone.
    """
    _check(model, tokenizer, stride, batch_rows)
    began, tally = time.monotonic(), Tally(tokenizer)
    context = model.config.context_length
    with evaluating(model), progress.task("evaluation", 0, "tokens") as task:
        for batch in _batches(_rows(documents, tally, context, stride), context, batch_rows):
            nats = _nats(model, batch, tokenizer.end, precision)
            tally.add(np.concatenate([row.blocks for row in batch.rows]), nats)
            task.advance(len(nats))
    return tally.evaluation(data, time.monotonic() - began)


@dataclasses.dataclass(frozen=True, eq=False)
class _Row:
    """One window of one document."""

    inputs: Integer[ndarray, " time"]
    targets: Integer[ndarray, " new"]
    """The new tokens; they are predicted from the last inputs, one each."""
    blocks: Int[ndarray, " new"]


@dataclasses.dataclass(frozen=True)
class _Batch:
    rows: list[_Row]
    length: int


def _rows(documents: Iterable[Measured], tally: Tally, context: int, stride: int) -> Iterator[_Row]:
    """Cut documents into windows that advance by `stride`; the first has `context` new tokens."""
    for tokens, num_bytes in documents:
        blocks = tally.open(tokens, num_bytes)
        scored = 1
        for begin in range(0, len(tokens), stride):
            stop = min(begin + context + 1, len(tokens))
            yield _Row(tokens[begin : stop - 1], tokens[scored:stop], blocks[scored - 1 : stop - 1])
            if stop == len(tokens):
                break
            scored = stop


def _batches(rows: Iterable[_Row], context: int, batch_rows: int) -> Iterator[_Batch]:
    """Group windows of like length, so that few lengths occur (the context, its half, ...) and little is padding."""
    lengths = [context]
    while lengths[-1] > _MINIMUM_LENGTH:
        lengths.append(-(-lengths[-1] // 2))
    waiting: dict[int, list[_Row]] = {length: [] for length in lengths}
    for row in rows:
        length = min(length for length in lengths if length >= len(row.inputs))
        waiting[length].append(row)
        if len(waiting[length]) == batch_rows * (context // length):
            yield _Batch(waiting[length], length)
            waiting[length] = []
    for length, left in waiting.items():
        if left:
            yield _Batch(left, length)


@torch.inference_mode()
def _nats(model: Transformer, batch: _Batch, end: int, precision: Precision) -> Float[ndarray, " tokens"]:
    """Return -ln p of each row's new tokens, one row after the other.

    What pads a row stands behind it, where a causal model does not look.
    """
    device = model.embedding.weight.device
    tokens = np.full((len(batch.rows), batch.length), end, dtype=np.int64)
    asked = np.zeros(tokens.shape, dtype=bool)
    for row, line, mark in zip(batch.rows, tokens, asked, strict=True):
        line[: len(row.inputs)] = row.inputs
        mark[len(row.inputs) - len(row.targets) : len(row.inputs)] = True
    targets = torch.from_numpy(np.concatenate([row.targets for row in batch.rows]).astype(np.int64)).to(device)
    with autocast(device, precision):
        states = model.encode(torch.from_numpy(tokens).to(device))[torch.from_numpy(asked).to(device)]
        size = max(1, _LOGITS // model.config.vocab_size)
        parts = [
            cross_entropy(model.head(state).float(), target, reduction="none")
            for state, target in zip(_split(states, size), _split(targets, size), strict=True)
        ]
    nats: Float[ndarray, " tokens"] = torch.cat(parts).double().cpu().numpy()
    return nats


def _split(values: Tensor, size: int) -> list[Tensor]:
    return [values[at : at + size] for at in range(0, len(values), size)]


def _check(model: Transformer, tokenizer: Tokenizer, stride: int, batch_rows: int) -> None:
    config = model.config
    if (config.attention, config.prediction_offset) != ("causal", 1):
        raise ConfigError(
            "perplexity is defined for models that read from left to right, and this one reads both ways",
            hint="its pseudo-perplexity can be measured, and is another number",
        )
    if tokenizer.vocab_size > config.vocab_size:
        raise ConfigError(
            f"the tokenizer has {tokenizer.vocab_size} tokens and the model knows {config.vocab_size}",
            hint="use the tokenizer of the model",
        )
    check(Count, batch_rows, "batch_rows", "evaluate")
    check(Annotated[int, Range(1, config.context_length)], stride, "stride", "evaluate")
