"""How likely a model that reads both ways holds the ends of texts to be: each token hidden in turn, many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from textus.evaluation.pseudo import Method, hidden_rows
from textus.evaluation.tasks.asks import Ask
from textus.evaluation.tasks.likelihoods import Told, judged
from textus.model.hidden import both_ways, padded
from textus.model.precision import Precision, autocast
from textus.model.transformer import Reading, Transformer
from textus.objectives.measure import evaluating
from textus.tokenizer.tokenizer import Tokenizer

_BATCH_TOKENS = 8_192
"""About how many tokens are read at once."""
_Hidden = tuple[int, int, list[int]]
"""Which ask, which of its tokens is asked, and what the model is shown."""


def pseudo_log_likelihoods(
    model: Transformer,
    tokenizer: Tokenizer,
    groups: Sequence[Sequence[Ask]],
    method: Method,
    *,
    precision: Precision = "fp32",
    batch_tokens: int = _BATCH_TOKENS,
    advance: Callable[[float], None] = lambda _: None,
) -> list[list[Told]]:
    """Return the pseudo-log-likelihood of every ask: sums over its asked tokens, as `likelihood` has them over a text.

    No ask may have more than `context_length` tokens. A token of what is asked is seen by the others, so whether all
    are the likeliest in their places says more than a writer could know: how many tokens there are.
    """
    reading = both_ways(model, "a pseudo-log-likelihood")
    rows = [ask for group in groups for ask in group]
    sums, greedy = np.zeros(len(rows)), np.ones(len(rows), bool)
    with evaluating(model), torch.inference_mode(), autocast(model.embedding.weight.device, precision):
        for batch in _batches(_hidden(tokenizer, rows, method), batch_tokens):
            logprobs, best = _asked(model, reading, rows, batch)
            owners = np.array([owner for owner, _, _ in batch])
            np.add.at(sums, owners, logprobs)
            np.logical_and.at(greedy, owners, best)
            advance(len(groups) * len(batch) / max(1, sum(ask.asked for ask in rows)))
    told = iter(
        Told(float(total), bool(likeliest), ask.asked) for ask, total, likeliest in zip(rows, sums, greedy, strict=True)
    )
    return [[next(told) for _ in group] for group in groups]


def _hidden(tokenizer: Tokenizer, rows: Sequence[Ask], method: Method) -> Iterator[_Hidden]:
    """Hide the asked tokens one at a time, those of the longest text first."""
    for owner in sorted(range(len(rows)), key=lambda number: -len(rows[number].tokens)):
        tokens, given = rows[owner].tokens.tolist(), rows[owner].given
        shown = hidden_rows(tokens, tokenizer.word_starts(tokens).tolist(), tokenizer.mask, method, given)
        yield from ((owner, given + number, row) for number, row in enumerate(shown))


def _batches(hidden: Iterator[_Hidden], batch_tokens: int) -> Iterator[list[_Hidden]]:
    batch: list[_Hidden] = []
    for one in hidden:
        if batch and (len(batch) + 1) * len(batch[0][2]) > batch_tokens:
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def _asked(
    model: Transformer, reading: Reading, rows: Sequence[Ask], batch: Sequence[_Hidden]
) -> tuple[np.ndarray, np.ndarray]:
    """Return ln p of each hidden token, and whether it is the likeliest there."""
    device = model.embedding.weight.device
    tokens, documents = padded([row for _, _, row in batch], device)
    states = model.encode(tokens, documents, attention=reading)
    places = torch.tensor([place for _, place, _ in batch], device=device) - model.config.prediction_offset
    targets = np.array([rows[owner].tokens[place] for owner, place, _ in batch], np.int64)
    numbers = np.arange(len(batch))
    return judged(model, states[torch.from_numpy(numbers).to(device), places], targets, numbers)
