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

from textus.config import Count, Range, check
from textus.errors import ConfigError
from textus.evaluation.estimate import Evaluation, Measured, Tally
from textus.evaluation.onward import one_ahead, sent
from textus.model.hidden import logit_rows
from textus.model.precision import Precision, autocast
from textus.model.transformer import Transformer
from textus.objectives.cross_entropy import rows_at_once, token_losses
from textus.objectives.measure import evaluating
from textus.progress import SILENT, Progress
from textus.tokenizer.tokenizer import Tokenizer

_BATCH_ROWS = 32
_SORTED = 8
"""Windows are sorted by length among as many as make so many batches."""


def evaluate(
    model: Transformer,
    tokenizer: Tokenizer,
    documents: Iterable[Measured],
    *,
    data: str,
    stride: int,
    batch_rows: int = _BATCH_ROWS,
    precision: Precision = "fp32",
    ends: bool = True,
    progress: Progress = SILENT,
) -> Evaluation:
    """Measure a model on documents (END, text, END) and their UTF-8 sizes; `data` is the fingerprint of the texts.

    Each document is read by itself, in windows of `context_length` tokens of which the last `stride` are new, so that a
    token is predicted from at least `context_length - stride` others (all there are, near the document's start). Every
    token after the first END is predicted exactly once, the last END too. Bits per byte divide all nats, those of END
    as well, by the bytes of the text alone; without `ends`, those of END count nothing, as in `masked.measure_bound`.
    """
    _check(model, tokenizer, stride, batch_rows)
    began, tally = time.monotonic(), Tally(tokenizer)
    context = model.config.context_length
    with evaluating(model), progress.task("evaluation", 0, "tokens") as task:
        batches = _batches(_rows(documents, tally, context, stride), batch_rows * context)
        for batch, found in one_ahead(batches, lambda batch: _nats(model, batch, tokenizer.end, precision)):
            nats = found.astype(np.float64)
            if not ends:
                nats[np.concatenate([row.targets for row in batch]) == tokenizer.end] = 0.0
            tally.add(np.concatenate([row.blocks for row in batch]), nats)
            task.advance(len(nats))
    return tally.evaluation(data, time.monotonic() - began)


def predictions(
    model: Transformer, tokenizer: Tokenizer, documents: Iterable[Measured], tally: Tally, *, stride: int
) -> Iterator[tuple[Int[ndarray, " tokens"], Float[Tensor, "tokens vocab"], Int[Tensor, " tokens"]]]:
    """Yield, for the tokens that `evaluate` scores: their blocks, ln p of the whole vocabulary, and what they are.

    Not all at once, and not in order; only few logits exist at a time.
    """
    _check(model, tokenizer, stride, 1)
    context = model.config.context_length
    size = logit_rows(model)
    with evaluating(model), torch.inference_mode():
        for batch in _batches(_rows(documents, tally, context, stride), _BATCH_ROWS * context):
            states, targets = _read(model, batch, tokenizer.end)
            blocks = np.concatenate([row.blocks for row in batch])
            for at in range(0, len(blocks), size):
                likely = model.head(model.before_head(states[at : at + size])).float().log_softmax(-1)
                yield blocks[at : at + size], likely, targets[at : at + size]


@dataclasses.dataclass(frozen=True, eq=False)
class _Row:
    """One window of one document."""

    inputs: Integer[ndarray, " time"]
    targets: Integer[ndarray, " new"]
    """The new tokens; they are predicted from the last inputs, one each."""
    blocks: Int[ndarray, " new"]


def _rows(documents: Iterable[Measured], tally: Tally, context: int, stride: int) -> Iterator[_Row]:
    """Cut documents into windows that advance by `stride`; the first has `context` new tokens."""
    for tokens, num_bytes in documents:
        blocks = tally.open(tokens, num_bytes)
        for begin, scored, stop in spans(len(tokens), context, stride):
            yield _Row(tokens[begin : stop - 1], tokens[scored:stop], blocks[scored - 1 : stop - 1])


def spans(length: int, context: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """Yield where windows of a document begin, the first token that is new in each, and where they stop.

    >>> list(spans(10, 4, 2))
    [(0, 1, 5), (2, 5, 7), (4, 7, 9), (6, 9, 10)]
    """
    scored = 1
    for begin in range(0, length, stride):
        stop = min(begin + context + 1, length)
        yield begin, scored, stop
        if stop == length:
            break
        scored = stop


def _batches(rows: Iterable[_Row], tokens: int) -> Iterator[list[_Row]]:
    """Group windows of like length, `tokens` to read at most, so that little is padding."""
    waiting: list[_Row] = []
    size = 0
    for row in rows:
        waiting.append(row)
        size += len(row.inputs)
        if size >= _SORTED * tokens:
            yield from _by_length(waiting, tokens)
            waiting, size = [], 0
    yield from _by_length(waiting, tokens)


def _by_length(rows: Iterable[_Row], tokens: int) -> Iterator[list[_Row]]:
    batch: list[_Row] = []
    for row in sorted(rows, key=lambda row: -len(row.inputs)):
        if batch and (len(batch) + 1) * len(batch[0].inputs) > tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@torch.inference_mode()
def _nats(model: Transformer, batch: list[_Row], end: int, precision: Precision) -> Float[Tensor, " tokens"]:
    """Return -ln p of each row's new tokens, one row after the other."""
    with autocast(model.embedding.weight.device, precision):
        states, targets = _read(model, batch, end)
        return token_nats(model, states, targets)


def _read(
    model: Transformer, batch: list[_Row], end: int
) -> tuple[Float[Tensor, "tokens hidden"], Int[Tensor, " tokens"]]:
    """Return the states that predict each row's new tokens, and these, one row after the other.

    What pads a row stands behind it, where a causal model does not look.
    """
    device = model.embedding.weight.device
    tokens = np.full((len(batch), len(batch[0].inputs)), end, dtype=np.int64)
    asked = np.zeros(tokens.shape, dtype=bool)
    for row, line, mark in zip(batch, tokens, asked, strict=True):
        line[: len(row.inputs)] = row.inputs
        mark[len(row.inputs) - len(row.targets) : len(row.inputs)] = True
    targets = sent(np.concatenate([row.targets for row in batch]).astype(np.int64), device)
    states = model.encode(sent(tokens, device)).flatten(0, 1)
    return states.index_select(0, sent(np.flatnonzero(asked), device)), targets


def token_nats(
    model: Transformer, states: Float[Tensor, "tokens hidden"], targets: Int[Tensor, " tokens"]
) -> Float[Tensor, " tokens"]:
    """Return -ln p of each target, with the logits of a few at a time."""
    size = rows_at_once(states.device, model.config.vocab_size)
    parts = zip(torch.split(states, size), torch.split(targets, size), strict=True)
    return torch.cat([token_losses(model.head(model.before_head(part)), wanted) for part, wanted in parts])


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
