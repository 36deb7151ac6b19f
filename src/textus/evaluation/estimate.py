"""From nats per token to scores with standard errors.

A score is a ratio of sums, such as nats over tokens. Its error is that of the ratio estimator over independent units:
documents where there are enough of them, blocks of text otherwise. Tokens are no such units: they depend on each other.
"""

from __future__ import annotations

import dataclasses
import math
from array import array
from collections.abc import Mapping
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Integer
from numpy import ndarray

from textus.errors import CorpusError, DivergenceError
from textus.evaluation.contamination import Contamination
from textus.report import Prose, Report, Score, Shown, Table

BLOCK_BYTES = 4096
"""About how much text a block holds, where blocks stand in for documents."""
MINIMUM_DOCUMENTS = 20
"""Fewer documents than this give no error worth its name, and blocks are used."""

Tokens = Integer[ndarray, " _"]
"""A document's tokens: END, those of its text, END. Documents differ in length."""
Measured = tuple[Tokens, int]
"""A document's tokens and the size of its text in UTF-8."""


@runtime_checkable
class Vocabulary(Protocol):
    """What this folder needs of a tokenizer."""

    @property
    def vocab_size(self) -> int:
        """Number of ids."""
        ...

    @property
    def end(self) -> int:
        """Id of the token on both sides of a document."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of the tokenizer."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """Return what a token stands for."""
        ...


@dataclasses.dataclass(frozen=True)
class Units:
    """Sums over the units that errors are estimated from."""

    kind: Literal["document", "block"]
    nats: Float[ndarray, " units"]
    tokens: Int[ndarray, " units"]
    num_bytes: Int[ndarray, " units"]


@dataclasses.dataclass(frozen=True, eq=False)
class Blocks:
    """Sums over blocks of text, in order, and the document that each is of."""

    nats: Float[ndarray, " blocks"]
    tokens: Int[ndarray, " blocks"]
    num_bytes: Int[ndarray, " blocks"]
    document: Int[ndarray, " blocks"]

    @property
    def document_bytes(self) -> Int[ndarray, " documents"]:
        """Return the size of each document."""
        return np.bincount(self.document, weights=self.num_bytes).astype(np.int64)

    def of(self, which: Bool[ndarray, " documents"]) -> Blocks:
        """Return the blocks of some documents, which are numbered anew."""
        kept, numbers = which[self.document], np.cumsum(which) - 1
        return Blocks(self.nats[kept], self.tokens[kept], self.num_bytes[kept], numbers[self.document[kept]])

    def units(self) -> Units:
        """Return the sums by document, or by block where there are few documents."""
        if not len(self.document) or self.document[-1] + 1 < MINIMUM_DOCUMENTS:
            return Units("block", self.nats, self.tokens, self.num_bytes)
        nats, tokens, num_bytes = (
            np.bincount(self.document, weights=values) for values in (self.nats, self.tokens, self.num_bytes)
        )
        return Units("document", nats, tokens.astype(np.int64), num_bytes.astype(np.int64))


@dataclasses.dataclass(frozen=True)
class Evaluation(Shown):
    """What was measured on one text: `loss`, `perplexity` and `bits_per_byte`."""

    scores: tuple[Score, ...]
    tokens: int
    """Predicted tokens: each document's own, and the one that ends it."""
    num_bytes: int
    """UTF-8 size of the text."""
    documents: int
    seconds: float
    note: str
    """How the errors were estimated."""
    units: Units
    blocks: Blocks | None = None
    """What the scores are sums of; none for predictions of hidden tokens, which are no parts of a text's likelihood."""
    leakage: Mapping[str, Any] | None = None
    """What of the documents held out with this text stands in training, as the corpus was made; none for texts that
    came later."""
    contamination: Contamination | None = None
    """What training has of this text; none where there is no corpus to look in."""

    def part(self, which: Bool[ndarray, " documents"], data: str) -> tuple[Score, ...]:
        """Return the same scores of some of the documents; `data` is their fingerprint."""
        assert self.blocks is not None
        return scores_of(self.blocks.of(which).units(), self.scores[0].tokenizer, data)

    def notes(self) -> list[str]:
        """Say what a reader of the scores has to know."""
        return [
            self.note,
            *([leakage_words(self.leakage)] if self.leakage else []),
            *([str(self.contamination)] if self.contamination else []),
        ]

    def score(self, name: str) -> Score:
        """Return the score of this name."""
        return next(score for score in self.scores if score.name == name)

    def report(self) -> Report:
        """Tell the same for people."""
        size = f"{self.documents:,} documents, {self.tokens:,} tokens, {self.num_bytes:,} bytes"
        notes = Prose("\n".join([size, *self.notes()]), verbatim=True)
        return Report("Evaluation", (("Scores", Table.of_scores(self.scores)), ("What a reader should know", notes)))

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            "scores": [score.as_dict() for score in self.scores],
            "tokens": self.tokens,
            "bytes": self.num_bytes,
            "documents": self.documents,
            "seconds": self.seconds,
            "note": "; ".join(self.notes()),
            "leakage": dict(self.leakage) if self.leakage else None,
            "contamination": self.contamination.as_dict() if self.contamination else None,
        }


def scores_of(units: Units, tokenizer: str, data: str) -> tuple[Score, ...]:
    """Return loss, perplexity and bits per byte, each with its error."""
    (loss, loss_error), (per_byte, byte_error) = (
        ratio(units.nats, units.tokens.astype(np.float64)),
        ratio(units.nats / math.log(2), units.num_bytes.astype(np.float64)),
    )
    perplexity = math.exp(loss) if loss < 700 else math.inf
    found = (
        ("loss", loss, loss_error, "nats/token"),
        ("perplexity", perplexity, perplexity * loss_error, "per token"),
        ("bits_per_byte", per_byte, byte_error, "bits/byte"),
    )
    return tuple(Score(*parts, tokenizer, data) for parts in found)


def leakage_words(leakage: Mapping[str, Any]) -> str:
    """Say how much of what was held out training shows."""
    held_out, seen = leakage["held-out documents"], leakage["of these seen in training"]
    return (
        f"leakage: training shows {seen} of {held_out} held-out documents ({leakage['share of bytes']:.2%} of their "
        "bytes), by what is nearly the same"
    )


def ratio(numerators: Float[ndarray, " units"], denominators: Float[ndarray, " units"]) -> tuple[float, float]:
    """Return the ratio of two sums and its standard error over units (Cochran, Sampling Techniques, section 2.11).

    >>> value, error = ratio(np.array([1.0, 3.0, 2.0]), np.array([2.0, 2.0, 2.0]))
    >>> value, round(error, 4)
    (1.0, 0.2887)
    """
    units, total = len(numerators), float(denominators.sum())
    value = float(numerators.sum()) / total
    residuals = numerators - value * denominators
    return value, math.sqrt(float(residuals @ residuals) * units / (units - 1)) / total


class Tally:
    """Sum nats by block of text, in any order; memory is 64 bytes a document and 32 for each 4 kB of it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        lengths = [len(vocabulary.token_bytes(token)) for token in range(vocabulary.vocab_size)]
        self._lengths = np.array(lengths, dtype=np.int64)
        self._lengths[vocabulary.end] = 0
        self._nats, self._tokens, self._bytes, self._documents = array("d"), array("q"), array("q"), array("q")
        self._opened = 0

    def open(self, tokens: Integer[ndarray, " time"], num_bytes: int) -> Int[ndarray, " time-1"]:
        """Enter a document (END, text, END) and return the block of each token after the first."""
        targets = len(tokens) - 1
        assert targets >= 1, "a document has an END on both sides"
        starts = np.cumsum(self._lengths[tokens[:-1]])
        # Two blocks at least, so that even one short text has an error; a block is never without a token.
        count = min(max(2, round(num_bytes / BLOCK_BYTES)), targets)
        spread = np.minimum(starts * count // max(1, int(starts[-1])), count - 1)
        # Numbered without gaps: a long token may pass over a block.
        inside = np.cumsum(np.diff(spread, prepend=spread[0]) > 0)
        sizes = np.bincount(inside, weights=self._lengths[tokens[1:]]).astype(np.int64)
        sizes[-1] += num_bytes - sizes.sum()
        blocks: Int[ndarray, " time-1"] = inside + len(self._nats)
        self._nats.extend([0.0] * len(sizes))
        self._tokens.extend(np.bincount(inside).tolist())
        self._bytes.extend(sizes.tolist())
        self._documents.extend([self._opened] * len(sizes))
        self._opened += 1
        return blocks

    def add(self, blocks: Int[ndarray, " tokens"], nats: Float[ndarray, " tokens"]) -> None:
        """Add the nats of tokens to the blocks that they belong to."""
        if not np.isfinite(nats).all():
            raise DivergenceError(
                f"the loss is not a number in document {self._documents[int(blocks[~np.isfinite(nats)][0])] + 1}",
                hint="the model's weights are damaged or its training diverged; use an earlier checkpoint",
            )
        np.add.at(np.frombuffer(self._nats, dtype=np.float64), blocks, nats)

    def documents(self, blocks: Int[ndarray, " tokens"]) -> Int[ndarray, " tokens"]:
        """Return the document of each block, numbered in the order in which they were opened."""
        found: Int[ndarray, " tokens"] = np.frombuffer(self._documents, np.int64)[blocks]
        return found

    @property
    def opened(self) -> int:
        """How many documents were entered."""
        return self._opened

    def blocks(self) -> Blocks:
        """Return the sums so far."""
        nats, tokens = np.frombuffer(self._nats, np.float64), np.frombuffer(self._tokens, np.int64)
        num_bytes, document = np.frombuffer(self._bytes, np.int64), np.frombuffer(self._documents, np.int64)
        return Blocks(nats.copy(), tokens.copy(), num_bytes.copy(), document.copy())

    def evaluation(self, data: str, seconds: float) -> Evaluation:
        """Close the books: `data` is the fingerprint of the text.

        Raises `CorpusError` where there was no text.
        """
        blocks = self.blocks()
        if not blocks.num_bytes.sum():
            raise CorpusError("there is no text to measure", hint="give documents that are not empty")
        units = blocks.units()
        scores = scores_of(units, self._vocabulary.fingerprint, data)
        note = f"errors are over {self._opened} documents"
        if units.kind == "block":
            note = (
                f"errors are over {len(units.nats)} blocks of text, of about {BLOCK_BYTES // 1024} kB at most: the "
                f"documents are only {self._opened}; how far documents differ from each other is not in them"
            )
        totals = int(units.tokens.sum()), int(units.num_bytes.sum())
        return Evaluation(scores, *totals, self._opened, seconds, note, units, blocks)
