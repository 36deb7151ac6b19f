"""A learnt score of quality: which words and pairs of words the good texts have that the bad ones have not."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Hashes, TextBatch, text_batches
from textus.corpus.filters.feature import Column
from textus.corpus.filters.regression import Rows, area_under_curve, fit, sigmoid
from textus.errors import ArtefactError, CorpusError

Perplexity = Callable[[Sequence[str]], NDArray[np.float32]]
"""Perplexity of each text under a reference model: given from above, for nothing here knows a model."""
BUCKETS = 1 << 18
"""Words and pairs of words share this many weights, by their hash."""
MOST_CHARACTERS = 100_000_000
"""How much text of each kind is learnt from."""
FEWEST_TEXTS = 20
"""How many texts of each kind must be there."""
_HELD_OUT = np.uint64(5)
_STRENGTH = 0.1
_WEIGHTS, _FACTS = "quality.npz", "quality.json"


@dataclass(frozen=True)
class Facts:
    """What is known of a model: what it was learnt from, and how well it tells held-out texts apart."""

    good: int
    """Texts that it learnt were good."""
    bad: int
    """Texts that it learnt were bad."""
    held_out: int
    """Texts of both kinds that it was measured on and did not learn from."""
    area_under_curve: float
    """Probability that a good held-out text scores above a bad one."""
    error: float
    """Standard error of that."""


@dataclass(frozen=True)
class QualityModel:
    """Give each text the probability that it is one of the good ones, both kinds taken as equally frequent."""

    weights: NDArray[np.float32]
    intercept: float
    facts: Facts

    def score(self, batch: TextBatch) -> NDArray[np.float32]:
        """Return the probability of each text; NaN for one without words."""
        probabilities = np.full(len(batch), np.nan, np.float32)
        rows, _ = _rows(batch)
        probabilities[batch.words.counts > 0] = sigmoid(rows.times(self.weights) + self.intercept)
        return probabilities

    def save(self, folder: Path) -> None:
        """Write `quality.npz` and `quality.json` into an existing folder."""
        np.savez(folder / _WEIGHTS, weights=self.weights, intercept=np.float64(self.intercept))
        (folder / _FACTS).write_text(json.dumps(dataclasses.asdict(self.facts), indent=1) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: Path) -> QualityModel:
        """Read what `save` wrote; raise `ArtefactError` when it is not there or damaged."""
        try:
            with (folder / _WEIGHTS).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                weights, intercept = arrays["weights"], float(arrays["intercept"])
            facts = Facts(**json.loads((folder / _FACTS).read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ArtefactError(
                f"{folder}: not a model of quality, or a damaged one: {error}", hint="learn it again"
            ) from None
        if weights.shape != (BUCKETS,) or weights.dtype != np.float32:
            raise ArtefactError(f"{folder}: a model of quality of another version", hint="learn it again")
        return cls(weights, intercept, facts)


def train_quality(good: Iterable[str], bad: Iterable[str]) -> QualityModel:
    """Learn from good and bad texts, and measure on a fifth of each that is held out by the hash of its words.

    The result depends on the texts and their order alone. Raises `CorpusError` when there are too few of a kind.
    """
    kinds = [_Kind.of(texts, name) for texts, name in ((good, "good"), (bad, "bad"))]
    learnt = [kind.rows.chosen(~kind.held_out) for kind in kinds]
    sizes = [len(rows) for rows in learnt]
    # Both kinds weigh the same, however many texts there are of each.
    shares = np.repeat([sum(sizes) / 2 / size for size in sizes], sizes)
    found, intercept = fit(Rows.joined(learnt, BUCKETS), np.repeat([1.0, 0.0], sizes), shares, _STRENGTH)
    weights = found.astype(np.float32)
    good_scores, bad_scores = (kind.rows.chosen(kind.held_out).times(weights) for kind in kinds)
    area, error = area_under_curve(good_scores, bad_scores)
    facts = Facts(sizes[0], sizes[1], len(good_scores) + len(bad_scores), area, error)
    return QualityModel(weights, intercept, facts)


def learnt(
    texts: Sequence[str], batch: TextBatch, model: QualityModel | None = None, perplexity: Perplexity | None = None
) -> dict[str, Column]:
    """Return the columns `quality` and `perplexity` of some texts, those for which there is a model."""
    columns: dict[str, Column] = {}
    if model is not None:
        columns["quality"] = model.score(batch)
    if perplexity is not None:
        columns["perplexity"] = np.asarray(perplexity(texts), np.float32)
        assert columns["perplexity"].shape == (len(texts),)
    return columns


@dataclass(frozen=True)
class _Kind:
    rows: Rows
    held_out: NDArray[np.bool_]

    @classmethod
    def of(cls, texts: Iterable[str], name: str) -> _Kind:
        parts = [_rows(batch) for batch in text_batches(_enough(texts))]
        rows = Rows.joined([part for part, _ in parts], BUCKETS)
        held_out = np.concatenate([np.zeros(0, bool), *(hashes % _HELD_OUT == 0 for _, hashes in parts)])
        if len(rows) < FEWEST_TEXTS or held_out.sum() < 2 or (~held_out).sum() < 2:
            raise CorpusError(
                f"quality.{name}: {len(rows)} texts with words are too few to learn from",
                hint=f"at least {FEWEST_TEXTS} different ones of each kind, better some hundreds",
            )
        return cls(rows, held_out)


def _enough(texts: Iterable[str]) -> Iterator[str]:
    """Take texts until there are enough to learn from."""
    total = 0
    for text in texts:
        yield text
        total += len(text)
        if total >= MOST_CHARACTERS:
            break


def _rows(batch: TextBatch) -> tuple[Rows, Hashes]:
    """Return a row for each text with words, and a hash of its words, by which copies are held out together.

    A row has 1 + log(how often) for each bucket of words and pairs of words, and the length 1.
    """
    words, texts = batch.words, np.flatnonzero(batch.words.counts)
    pairs, pair_offsets = batch.ngrams(2)
    owners = np.concatenate([words.owners, np.repeat(np.arange(len(batch)), np.diff(pair_offsets))])
    buckets = np.concatenate([batch.word_hashes, pairs]) & np.uint64(BUCKETS - 1)
    keys = np.sort(owners * BUCKETS + buckets.astype(np.int64))
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    values = 1 + np.log(np.diff(starts, append=len(keys)))
    keys = keys[starts]
    offsets = np.searchsorted(keys, np.append(texts, len(batch)) * BUCKETS)
    if len(texts):
        lengths = np.sqrt(np.add.reduceat(values * values, offsets[:-1]))
        values /= np.repeat(lengths, np.diff(offsets))
    rows = Rows((keys % BUCKETS).astype(np.int32), values.astype(np.float32), offsets, BUCKETS)
    return rows, batch.word_runs(words.offsets[texts], words.offsets[texts + 1])
