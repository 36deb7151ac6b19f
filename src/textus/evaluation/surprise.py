"""How surprised a model is by each token of a text, and what it had expected: in bits, -log2 p.

A causal model reads a document as it is measured, in windows that advance by half its context, and is asked for the end
of the document too. A model that only reads both ways has each token hidden with the later pieces of its word, in the
middle of a window: a pseudo-likelihood (`pseudo`), whose bits are no code length.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textus.corpus.document import Document
from textus.errors import CorpusError
from textus.evaluation.perplexity import spans
from textus.model.hidden import hidden_log_probabilities, logit_rows
from textus.model.transformer import Transformer
from textus.objectives.measure import evaluating
from textus.progress import SILENT, Progress
from textus.tokenizer.tokenizer import Tokenizer

MOST_TOKENS = 20_000
"""A page of more is too heavy for a browser."""
ALTERNATIVES = 5
_ROWS_AT_ONCE = 256
_BITS = np.log2(np.e)


@dataclass(frozen=True)
class Read:
    """A token of a text, and what the model made of it."""

    token: int
    bits: float
    alternatives: tuple[tuple[int, float], ...]
    """The likeliest tokens and their probabilities, whether the token is among them or not."""


@dataclass(frozen=True)
class Passage:
    """A document, or the beginning of one, as it was read."""

    source: str
    tokens: tuple[Read, ...]
    num_bytes: int
    """What the tokens stand for."""
    left_out: int
    """Tokens of the document that were too many."""


@dataclass(frozen=True)
class Surprise:
    """Every token of some documents with its surprise."""

    passages: tuple[Passage, ...]
    is_pseudo: bool
    """Whether each token was hidden and read from both sides."""
    documents_left_out: int

    @property
    def bits(self) -> float:
        """Return the sum."""
        return float(sum(one.bits for passage in self.passages for one in passage.tokens))

    def as_dict(self, tokenizer: Tokenizer) -> dict[str, Any]:
        """Return the fields for JSON."""
        text = tokenizer.token_text
        return {
            "method": "pseudo_log_likelihood_word_l2r" if self.is_pseudo else "log_likelihood",
            "bits": self.bits,
            "tokens": sum(len(passage.tokens) for passage in self.passages),
            "bytes": sum(passage.num_bytes for passage in self.passages),
            "documents_left_out": self.documents_left_out,
            "documents": [
                {
                    "source": passage.source,
                    "left_out": passage.left_out,
                    "tokens": [
                        {
                            "token": text(one.token),
                            "bits": one.bits,
                            "alternatives": [
                                {"token": text(other), "probability": share} for other, share in one.alternatives
                            ],
                        }
                        for one in passage.tokens
                    ],
                }
                for passage in self.passages
            ],
        }


def surprise(
    model: Transformer,
    tokenizer: Tokenizer,
    documents: Iterable[Document],
    *,
    most_tokens: int = MOST_TOKENS,
    alternatives: int = ALTERNATIVES,
    progress: Progress = SILENT,
) -> Surprise:
    """Return the surprise of each token of documents, the first `most_tokens` of them."""
    passages: list[Passage] = []
    is_pseudo, left, left_out = "causal" not in model.config.readings, most_tokens, 0
    read = _hidden if is_pseudo else _causal
    with evaluating(model), torch.inference_mode(), progress.task("surprise", 0, "tokens") as task:
        for document in documents:
            if not left:
                left_out += 1
                continue
            tokens = [tokenizer.end, *tokenizer.encode(document.text), *([] if is_pseudo else [tokenizer.end])]
            found = []
            for one in itertools.islice(read(model, tokenizer, tokens, alternatives), left):
                found.append(one)
                task.advance()
            left -= len(found)
            size = sum(len(tokenizer.token_bytes(one.token)) for one in found if one.token != tokenizer.end)
            passages.append(Passage(document.source, tuple(found), size, len(tokens) - 1 - len(found)))
    if not any(passage.tokens for passage in passages):
        raise CorpusError("there is no text to read", hint="give a text that is not empty")
    return Surprise(tuple(passages), is_pseudo, left_out)


def _causal(model: Transformer, tokenizer: Tokenizer, tokens: list[int], alternatives: int) -> Iterator[Read]:
    device, context, size = model.embedding.weight.device, model.config.context_length, logit_rows(model)
    for begin, scored, stop in spans(len(tokens), context, max(1, context // 2)):
        states = model.encode(torch.tensor([tokens[begin : stop - 1]], device=device), attention="causal")[0]
        states = states[scored - stop :]
        for at in range(0, len(states), size):
            likely = model.head(model.before_head(states[at : at + size])).float().log_softmax(-1)
            yield from _told(likely, tokens[scored + at : scored + at + len(likely)], tokenizer, alternatives)


def _hidden(model: Transformer, tokenizer: Tokenizer, tokens: list[int], alternatives: int) -> Iterator[Read]:
    context, mask = model.config.context_length, tokenizer.mask
    ends = np.append(np.flatnonzero(tokenizer.word_starts(tokens)), len(tokens))
    places = range(1, len(tokens))
    for at in range(0, len(places), _ROWS_AT_ONCE):
        rows, asked = [], []
        for place in places[at : at + _ROWS_AT_ONCE]:
            start = max(0, min(place - context // 2, len(tokens) - context))
            until = int(ends[np.searchsorted(ends, place, "right")])
            row = [*tokens[start:place], *[mask] * (until - place), *tokens[until:]]
            rows.append(row[:context])
            asked.append([place - start])
        for place, likely in zip(places[at:], hidden_log_probabilities(model, rows, asked), strict=False):
            yield from _told(likely, [tokens[place]], tokenizer, alternatives)


def _told(likely: Tensor, tokens: list[int], tokenizer: Tokenizer, alternatives: int) -> Iterator[Read]:
    chosen = likely.gather(1, torch.tensor(tokens, device=likely.device).unsqueeze(1)).squeeze(1).double()
    # ids beyond the tokenizer's are padding of the head, and no tokens
    best, which = likely[:, : tokenizer.vocab_size].topk(min(alternatives, tokenizer.vocab_size), dim=1)
    rows = zip(tokens, chosen.tolist(), which.tolist(), best.double().exp().tolist(), strict=True)
    for token, logprob, others, shares in rows:
        yield Read(token, float(-logprob * _BITS), tuple(zip(others, shares, strict=True)))
