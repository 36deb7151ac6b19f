"""A smoothed n-gram model over the same tokens: what counting alone achieves.

Interpolated modified Kneser-Ney (Chen and Goodman 1998), with the adjusted counts of KenLM (Heafield et al. 2013): an
n-gram below the highest order counts the different tokens seen before it, except at the start of a document, where
nothing can stand before. With a(.) the adjusted counts, D the discounts of an order, and h' the history h without its
first token,

    p(w | h) = (a(h w) - D(a(h w))) / a(h .)  +  gamma(h) p(w | h'),      p(w) at the bottom mixed with 1 / vocab_size
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from textus.errors import CorpusError
from textus.evaluation.estimate import Evaluation, Measured, Tally, Tokens, Vocabulary
from textus.progress import SILENT, Progress, Task

MAXIMUM_TOKENS = 2**23
"""Training tokens counted at most: 8.4 million, about 1.4 GB of memory at its highest and 15 s of one core."""
_ABSENT = -1
_CHUNK_TOKENS = 2**18


@dataclasses.dataclass(frozen=True)
class _Order:
    """The n-grams of one order: an n-gram's id is its place in `keys`, its key is (id of its prefix, last token)."""

    keys: Int[ndarray, " grams"]
    shares: Float[ndarray, " grams"]
    """The discounted part of p(w | h)."""
    gammas: Float[ndarray, " contexts"]
    """What is left for the lower order, by id of the context; 1 where the context was never continued."""


class NGram:
    """An n-gram model, made by `NGram.train`."""

    def __init__(self, vocab_size: int, orders: list[_Order]) -> None:
        self.vocab_size = vocab_size
        self._orders = orders

    @classmethod
    def train(
        cls,
        documents: Iterable[Tokens],
        vocab_size: int,
        *,
        order: int = 5,
        maximum_tokens: int = MAXIMUM_TOKENS,
        progress: Progress = SILENT,
    ) -> NGram:
        """Count documents (END, text, END), of which the first `maximum_tokens` tokens are used.

        >>> model = NGram.train([np.array([0, 1, 2, 1, 2, 0])], vocab_size=3, order=2)
        >>> bool(model.logprobs([np.array([0, 1, 2])])[1] > model.logprobs([np.array([0, 1, 1])])[1])
        True
        """
        assert order >= 1 and vocab_size * maximum_tokens < 2**63
        tokens, position = _join(_first(documents, maximum_tokens))
        if not position.any():
            raise CorpusError("there is no text to count n-grams in", hint="give documents that are not empty")
        with progress.task("n-gram", order, "orders") as task:
            return cls(vocab_size, list(_count(tokens, position, vocab_size, order, task)))

    def logprobs(self, documents: Iterable[Tokens]) -> Float[ndarray, " tokens"]:
        """Return ln p of each document's tokens after its first, one document after the other."""
        tokens, position = _join(documents)
        first, size = self._orders[0], self.vocab_size
        probability = first.shares[tokens].astype(np.float64) + first.gammas[0] / size
        ids = tokens
        for n, order in enumerate(self._orders[1:], 2):
            at = np.flatnonzero(position >= n - 1)
            context = ids[at - 1]
            at, context = at[context != _ABSENT], context[context != _ABSENT]
            ids = np.full(len(tokens), _ABSENT, dtype=np.int64)
            ids[at] = _find(order.keys, context * size + tokens[at])
            share = np.where(ids[at] == _ABSENT, 0.0, order.shares[ids[at]])
            probability[at] = share + order.gammas[context] * probability[at]
        result: Float[ndarray, " tokens"] = np.log(probability[position > 0])
        return result


def evaluate_ngram(
    model: NGram,
    vocabulary: Vocabulary,
    documents: Iterable[Measured],
    *,
    data: str,
    progress: Progress = SILENT,
) -> Evaluation:
    """Measure an n-gram model on documents (END, text, END) and their UTF-8 sizes, as `evaluate` does a network."""
    began, tally = time.monotonic(), Tally(vocabulary)
    with progress.task("n-gram evaluation", 0, "tokens") as task:
        for chunk in _chunks(documents):
            blocks = np.concatenate([tally.open(tokens, num_bytes) for tokens, num_bytes in chunk])
            tally.add(blocks, -model.logprobs(tokens for tokens, _ in chunk))
            task.advance(len(blocks))
    return tally.evaluation(data, time.monotonic() - began)


def _count(
    tokens: Int[ndarray, " tokens"],
    position: Int[ndarray, " tokens"],
    vocab_size: int,
    highest: int,
    task: Task,
) -> Iterator[_Order]:
    """Yield the orders from 1 up; an order is done once the n-grams one longer have said what stands before its own."""
    keys, ids = np.arange(vocab_size), tokens
    counts = np.bincount(tokens[position > 0], minlength=vocab_size)
    contexts = 1
    for n in range(2, highest + 1):
        at = np.flatnonzero(position >= n - 1)
        if not len(at):
            break
        longer, first, inverse, raw = np.unique(
            ids[at - 1] * vocab_size + tokens[at], return_index=True, return_inverse=True, return_counts=True
        )
        adjusted = np.bincount(ids[at[first]], minlength=len(keys))
        if n > 2:
            # Nothing can stand before what begins a document: there the plain count is the right one.
            opening = ids[position == n - 2]
            adjusted[opening] = counts[opening]
        yield _smooth(keys, adjusted, contexts, vocab_size)
        task.advance()
        contexts, keys, counts = len(keys), longer, raw
        ids = np.full(len(tokens), _ABSENT, dtype=np.int64)
        ids[at] = inverse
    yield _smooth(keys, counts, contexts, vocab_size)
    task.advance()


def _smooth(keys: Int[ndarray, " grams"], counts: Int[ndarray, " grams"], contexts: int, vocab_size: int) -> _Order:
    """Turn the adjusted counts of one order into shares and what is left."""
    prefixes, classes = keys // vocab_size, np.minimum(counts, 3)
    discounts = _discounts(counts)[classes]
    totals = np.bincount(prefixes, weights=counts, minlength=contexts)
    held = np.bincount(prefixes, weights=discounts, minlength=contexts)
    gammas = np.divide(held, totals, out=np.ones(contexts), where=totals > 0)
    return _Order(keys, ((counts - discounts) / totals[prefixes]).astype(np.float32), gammas.astype(np.float32))


def _discounts(counts: Int[ndarray, " grams"]) -> Float[ndarray, " 4"]:
    """Estimate what is taken from counts of 0, 1, 2, and 3 or more (Chen and Goodman 1998, equation 26).

    Where counts of 1 to 4 are too few to tell, as in a small text or one order of an odd one, use KenLM's 0.5, 1, 1.5.
    """
    n1, n2, n3, n4 = (float(np.count_nonzero(counts == i)) for i in range(1, 5))
    if min(n1, n2, n3, n4) > 0:
        y = n1 / (n1 + 2 * n2)
        found = np.array([0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        if (found[1:] > 0).all():
            return found
    return np.array([0.0, 0.5, 1.0, 1.5])


def _find(keys: Int[ndarray, " grams"], wanted: Int[ndarray, " queries"]) -> Int[ndarray, " queries"]:
    """Return the place of each wanted key in sorted `keys`, or `_ABSENT`."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, at, _ABSENT)


def _join(
    documents: Iterable[Tokens],
) -> tuple[Int[ndarray, " tokens"], Int[ndarray, " tokens"]]:
    """Lay documents end to end; also return the position of each token in its document."""
    parts = [np.asarray(document, dtype=np.int64) for document in documents]
    empty = [np.zeros(0, dtype=np.int64)]
    return np.concatenate(parts or empty), np.concatenate([np.arange(len(part)) for part in parts] or empty)


def _first(documents: Iterable[Tokens], most: int) -> Iterator[Tokens]:
    """Yield documents until `most` tokens are reached, cutting the last."""
    for document in documents:
        yield document[:most]
        most -= len(document)
        if most <= 0:
            return


def _chunks(
    documents: Iterable[Measured],
) -> Iterator[list[Measured]]:
    """Group documents so that a group has enough tokens to be quick and few enough to be small."""
    chunk: list[Measured] = []
    size = 0
    for document in documents:
        chunk.append(document)
        size += len(document[0])
        if size >= _CHUNK_TOKENS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
