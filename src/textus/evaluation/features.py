"""What a frozen network makes of texts and of words: the states of every layer, pooled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from textus.dataset.labelled_texts import Labelled, TaggedText
from textus.model.hidden import padded
from textus.model.transformer import Reading, Transformer
from textus.objectives.measure import evaluating
from textus.progress import Task
from textus.tokenizer.tokenizer import Tokenizer

Pooled = Literal["mean", "first", "last"]
"""Over the tokens of a text, END before it included, or over those of a word."""
_BATCH_TOKENS = 8192


@dataclass(frozen=True, eq=False)
class Row:
    """A text as the network reads it, and what of it is asked: all of it, or each of its words."""

    tokens: list[int]
    spans: list[tuple[int, int]]
    cut: int
    """Tokens of a text, or words, that did not fit into the context."""


@dataclass(frozen=True, eq=False)
class Features:
    """One vector for each item, layer and pooling."""

    values: Float[ndarray, "layers poolings items hidden"]
    poolings: tuple[Pooled, ...]
    cut: int
    """Texts or words that did not fit into the context whole."""

    def named(self) -> Iterator[tuple[int, Pooled, Float[ndarray, "items hidden"]]]:
        """Yield layer (0: the embedding), pooling and vectors."""
        for layer, by_pooling in enumerate(self.values):
            yield from ((layer, pooling, by_pooling[number]) for number, pooling in enumerate(self.poolings))


def poolings(model: Transformer, *, words: bool) -> tuple[Pooled, ...]:
    """Return how states may be pooled; the first state of a text has seen nothing where it is read from the left."""
    return ("mean", "first", "last") if words or "bidirectional" in model.config.readings else ("mean", "last")


def row(tokenizer: Tokenizer, one: Labelled, context: int) -> Row:
    """Return a text, a pair or a sentence as tokens: END before each text, a space before each word but the first."""
    if isinstance(one, TaggedText):
        return _sentence(tokenizer, one, context)
    tokens = [tokenizer.end, *tokenizer.encode(one.text)]
    if one.pair is not None:
        second = [tokenizer.end, *tokenizer.encode(one.pair)]
        room = max(1, context // 2, context - len(second))
        whole = len(tokens) + len(second)
        tokens = [*tokens[:room], *second]
        return Row(tokens[:context], [(0, min(context, len(tokens)))], int(whole > context))
    return Row(tokens[:context], [(0, min(context, len(tokens)))], int(len(tokens) > context))


def _sentence(tokenizer: Tokenizer, one: TaggedText, context: int) -> Row:
    tokens, spans = [tokenizer.end], []
    for number, word in enumerate(one.words):
        pieces = tokenizer.encode(f" {word}" if number else word) or [tokenizer.end]
        if len(tokens) + len(pieces) > context:
            break
        spans.append((len(tokens), len(tokens) + len(pieces)))
        tokens += pieces
    return Row(tokens, spans, len(one.words) - len(spans))


def features(model: Transformer, rows: Sequence[Row], how: tuple[Pooled, ...], task: Task) -> Features:
    """Return the features of all items of the rows, in order."""
    reading: Reading = "bidirectional" if "bidirectional" in model.config.readings else "causal"
    starts = np.concatenate([[0], np.cumsum([len(one.spans) for one in rows])]).astype(np.int64)
    layers, size = len(model.blocks) + 1, model.config.hidden_size
    values = np.empty((layers, len(how), int(starts[-1]), size), np.float32)
    order = sorted(
        (number for number, one in enumerate(rows) if one.spans), key=lambda number: len(rows[number].tokens)
    )
    with evaluating(model), torch.inference_mode():
        for part in _batches(order, rows):
            tokens, documents = padded([rows[number].tokens for number in part], model.embedding.weight.device)
            states = layer_states(model, tokens, documents, reading)
            spans = _spans(rows, part)
            where = np.concatenate([np.arange(starts[number], starts[number + 1]) for number in part])
            for layer, state in enumerate(states):
                for which, pooling in enumerate(how):
                    values[layer, which, where] = _pooled(state, spans, pooling).cpu().numpy()
            task.advance(len(part))
    return Features(values, how, sum(one.cut for one in rows))


def layer_states(
    model: Transformer, tokens: Int[Tensor, "batch time"], documents: Int[Tensor, "batch time"] | None, reading: Reading
) -> list[Float[Tensor, "batch time hidden"]]:
    """Return the embedding, the state behind each block, and in the place of the last what the head reads."""
    found: list[Tensor] = []

    def before(_: Any, given: tuple[Any, ...]) -> None:
        found.append(_added(given[0], given[1]))

    def after(_: Any, __: Any, made: tuple[Tensor, Tensor | None]) -> None:
        found.append(_added(*made))

    with ExitStack() as hooks:
        hooks.callback(model.blocks[0].register_forward_pre_hook(before).remove)
        for block in model.blocks:
            hooks.callback(block.register_forward_hook(after).remove)
        last = model.encode(tokens, documents, attention=reading).float()
    return [*found[:-1], last]


def _added(state: Tensor, more: Tensor | None) -> Tensor:
    return (state if more is None else state + more).float()


def _spans(rows: Sequence[Row], part: Sequence[int]) -> Int[ndarray, "items 3"]:
    """Return of each item of a batch its row there, its first token, and where it stops."""
    found = [(place, *span) for place, number in enumerate(part) for span in rows[number].spans]
    return np.array(found, np.int64)


def _pooled(
    states: Float[Tensor, "batch time hidden"], spans: Int[ndarray, "items 3"], pooling: Pooled
) -> Float[Tensor, "items hidden"]:
    places, first, stop = torch.from_numpy(spans).to(states.device).unbind(1)
    if pooling == "first":
        return states[places, first]
    if pooling == "last":
        return states[places, stop - 1]
    # sums so far, in double precision, since their differences are taken
    sums = torch.nn.functional.pad(states.double().cumsum(1), (0, 0, 1, 0))
    return ((sums[places, stop] - sums[places, first]) / (stop - first).unsqueeze(1)).float()


def _batches(order: Sequence[int], rows: Sequence[Row]) -> Iterator[list[int]]:
    """Cut rows that are ordered by length into batches of about as many tokens, one row at least."""
    part: list[int] = []
    for number in order:
        if part and (len(part) + 1) * len(rows[number].tokens) > _BATCH_TOKENS:
            yield part
            part = []
        part.append(number)
    if part:
        yield part


def bytes_an_item(model: Transformer, how: tuple[Pooled, ...]) -> int:
    """Return what the features of one item take."""
    return (len(model.blocks) + 1) * len(how) * model.config.hidden_size * 4
