"""Whether a model is right as often as it is sure: the likeliest token's probability against how often it is the token.

Guesses are put into bins by their confidence, and the expected calibration error (Naeini et al. 2015, Guo et al. 2017,
arXiv 1706.04599) is the mean distance of confidence and accuracy over bins, weighted by guesses:

```
equal width   15 bins (k / 15, (k + 1) / 15]
equal mass    15 bins of as many guesses each, in the order of their confidence
overconfidence = mean confidence - accuracy          above 0: surer than right
```

Only sums are kept, over 3840 steps of confidence and 64 groups of documents (or of blocks, where documents are few), so
that memory does not grow with the text; errors are those of a bootstrap over the groups.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from textus.errors import CorpusError
from textus.evaluation.estimate import MINIMUM_DOCUMENTS, Measured, Tally
from textus.evaluation.masked import Sums, guesses
from textus.evaluation.perplexity import predictions
from textus.model.transformer import Transformer
from textus.objectives.config import VALIDATION_RATE
from textus.progress import SILENT, Progress
from textus.report import Chart, Prose, Report, Score, Section, Table
from textus.tokenizer.tokenizer import Tokenizer

BINS = 15
_FINE = 256
"""Steps of confidence in a bin of equal width."""
_CELLS = BINS * _FINE
_GROUPS, _SAMPLES = 64, 1000
Question = Literal["next token", "hidden token"]


@dataclass(frozen=True)
class Bin:
    """Guesses of like confidence."""

    low: float
    high: float
    """Within what their confidence lies, up to the width of a step."""
    confidence: float
    """Its mean."""
    accuracy: float
    error: float
    """Standard error of the accuracy."""
    tokens: int


@dataclass(frozen=True)
class Calibration:
    """How a model's confidence stands to what comes true."""

    question: Question
    scores: tuple[Score, ...]
    equal_width: tuple[Bin, ...]
    equal_mass: tuple[Bin, ...]
    tokens: int
    num_bytes: int
    documents: int
    seconds: float
    note: str

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            "question": self.question,
            "scores": [score.as_dict() for score in self.scores],
            "equal_width": [vars(one) for one in self.equal_width],
            "equal_mass": [vars(one) for one in self.equal_mass],
            "tokens": self.tokens,
            "bytes": self.num_bytes,
            "documents": self.documents,
            "seconds": self.seconds,
            "note": self.note,
        }

    def sections(self) -> list[tuple[str, Section]]:
        """Tell the same for people."""
        lines = {
            "equal mass": [(one.confidence, one.accuracy) for one in self.equal_mass],
            "equal width": [(one.confidence, one.accuracy) for one in self.equal_width],
            "as it should be": [(0.0, 0.0), (1.0, 1.0)],
        }
        chart = Chart(f"Reliability, {self.question}", "confidence", "accuracy", lines)
        return [
            (f"Calibration, {self.question}", Table.of_scores(self.scores)),
            ("What these mean", Prose(f"{self._verdict()}; {self.note}")),
            (f"Reliability, {self.question}", chart),
            ("Bins of equal mass", _table(self.equal_mass)),
            ("Bins of equal width", _table(self.equal_width)),
        ]

    def _verdict(self) -> str:
        over = next(score for score in self.scores if score.name == "overconfidence")
        if abs(over.value) <= 2 * over.error:
            return "on the whole it is about as sure as it is right"
        return (
            "overconfident: surer than it is right" if over.value > 0 else "underconfident: right more often than sure"
        )


def report(found: Iterable[Calibration]) -> Report:
    """Put the calibrations of every way in which a model reads on one page."""
    return Report("Calibration", tuple(section for one in found for section in one.sections()))


def calibrate(
    model: Transformer,
    tokenizer: Tokenizer,
    documents: Iterable[Measured],
    *,
    data: str,
    stride: int,
    progress: Progress = SILENT,
) -> Calibration:
    """Hold the confidence of a causal model in its likeliest next token against the text.

    Documents (END, text, END) are read as `perplexity.evaluate` reads them.
    """
    began, tally, sums = time.monotonic(), Tally(tokenizer), Reliability()
    with progress.task("calibration", 0, "tokens") as task:
        for blocks, likely, targets in predictions(model, tokenizer, documents, tally, stride=stride):
            sums.add(tally.documents(blocks), blocks, *_sure(likely, targets))
            task.advance(len(blocks))
    if not tally.opened or not tally.blocks().num_bytes.sum():
        raise CorpusError("there is no text to measure", hint="give documents that are not empty")
    num_bytes = int(tally.blocks().num_bytes.sum())
    return sums.calibration(
        "next token", tally.opened, num_bytes, time.monotonic() - began, tokenizer.fingerprint, data
    )


def calibrate_masked(
    model: Transformer,
    tokenizer: Tokenizer,
    documents: Iterable[Measured],
    *,
    data: str,
    progress: Progress = SILENT,
) -> Calibration:
    """Hold the confidence of a model that reads both ways against the tokens that `evaluate_masked` hides."""
    began, windows, sums = time.monotonic(), Sums(tokenizer), Reliability()
    with progress.task("masked calibration", 0, "tokens") as task:
        for owners, likely, labels in guesses(model, tokenizer, documents, windows):
            sums.add(np.array(windows.owner, np.int64)[owners], owners, *_sure(likely, labels))
            task.advance(len(labels))
    if not sums.tokens:
        raise CorpusError("there is no token to hide", hint="give documents that are not empty")
    seconds = time.monotonic() - began
    return sums.calibration("hidden token", windows.documents, sum(windows.text), seconds, tokenizer.fingerprint, data)


class Reliability:
    """Sums of guesses by confidence and by group."""

    def __init__(self) -> None:
        shape = (2, _GROUPS, _CELLS)
        self._counts, self._confidence, self._right = np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape)

    @property
    def tokens(self) -> int:
        """Count the guesses."""
        return int(self._counts[0].sum())

    def add(
        self,
        documents: Int[ndarray, " guesses"],
        blocks: Int[ndarray, " guesses"],
        confidence: Float[ndarray, " guesses"],
        right: Bool[ndarray, " guesses"],
    ) -> None:
        """Add guesses, each with its document and its block."""
        steps = np.clip(np.ceil(confidence * _CELLS).astype(np.int64) - 1, 0, _CELLS - 1)
        for kind, owners in enumerate((documents, blocks)):
            cells, size = owners % _GROUPS * _CELLS + steps, _GROUPS * _CELLS
            shape = (_GROUPS, _CELLS)
            self._counts[kind] += np.bincount(cells, minlength=size).reshape(shape)
            self._confidence[kind] += np.bincount(cells, confidence, size).reshape(shape)
            self._right[kind] += np.bincount(cells, right, size).reshape(shape)

    def bins(self, edges: Int[ndarray, " cells"], kind: int = 0) -> Float[ndarray, "3 groups bins"]:
        """Return counts, confidence and right guesses by group and bin; `edges` tells the bin of each step."""
        width = int(edges.max()) + 1
        found: Float[ndarray, "3 groups bins"] = np.zeros((3, _GROUPS, width))
        for part, values in enumerate((self._counts, self._confidence, self._right)):
            for number in range(width):
                found[part, :, number] = values[kind][:, edges == number].sum(1)
        return found

    def equal_width(self) -> Int[ndarray, " cells"]:
        """Return the bin of each step of confidence where bins are of one width."""
        return np.arange(_CELLS) // _FINE

    def equal_mass(self) -> Int[ndarray, " cells"]:
        """Return the same where bins hold as many guesses each; a step is never cut."""
        counts = self._counts[0].sum(0)
        before = np.cumsum(counts) - counts
        found: Int[ndarray, " cells"] = np.minimum(BINS - 1, BINS * before // max(1, self.tokens))
        return found

    def calibration(
        self, question: Question, documents: int, num_bytes: int, seconds: float, tokenizer: str, data: str
    ) -> Calibration:
        """Close the books."""
        kind = 0 if documents >= MINIMUM_DOCUMENTS else 1
        wide, even = (self.bins(edges, kind) for edges in (self.equal_width(), self.equal_mass()))
        weights = _resamples(wide[0].sum(1) > 0)
        values = {
            "ece_equal_mass": (_ece(even, None), _ece(even, weights)),
            "ece_equal_width": (_ece(wide, None), _ece(wide, weights)),
            "overconfidence": (_over(wide, None), _over(wide, weights)),
            "confidence": (_share(wide, 1, None), _share(wide, 1, weights)),
            "accuracy": (_share(wide, 2, None), _share(wide, 2, weights)),
        }
        of = "of guesses" if question == "next token" else f"of guesses at {VALIDATION_RATE:.0%} hidden"
        scores = tuple(
            Score(name, float(value[0]), float(spread.std(ddof=1)), of, tokenizer, data)
            for name, (value, spread) in values.items()
        )
        kinds = f"{documents} documents" if kind == 0 else "blocks of few documents"
        return Calibration(
            question,
            scores,
            _bins(wide, weights, self.equal_width()),
            _bins(even, weights, self.equal_mass()),
            self.tokens,
            num_bytes,
            documents,
            seconds,
            f"a guess is the likeliest {question}; {BINS} bins; errors are by a bootstrap over {kinds}, in at most "
            f"{_GROUPS} groups",
        )


def _sure(likely: Tensor, targets: Tensor) -> tuple[Float[ndarray, " guesses"], Bool[ndarray, " guesses"]]:
    """Return the probability of the likeliest token, and whether it is the token."""
    best, guess = likely.max(1)
    return best.double().exp().cpu().numpy(), (guess == targets).cpu().numpy()


def _resamples(there: Bool[ndarray, " groups"]) -> Float[ndarray, "samples groups"]:
    """Return how often each group stands in each sample of a bootstrap over those that hold something."""
    count, weights = int(there.sum()), np.zeros((_SAMPLES, len(there)))
    weights[:, there] = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), _SAMPLES)
    return weights


def _summed(
    bins: Float[ndarray, "3 groups bins"], weights: Float[ndarray, "samples groups"] | None
) -> Float[ndarray, "3 samples bins"]:
    taken = np.ones((1, bins.shape[1])) if weights is None else weights
    found: Float[ndarray, "3 samples bins"] = np.matmul(taken, bins)
    return found


def _ece(bins: ndarray, weights: ndarray | None) -> Float[ndarray, " samples"]:
    counts, confidence, right = _summed(bins, weights)
    found: Float[ndarray, " samples"] = np.abs(confidence - right).sum(1) / counts.sum(1)
    return found


def _over(bins: ndarray, weights: ndarray | None) -> Float[ndarray, " samples"]:
    found: Float[ndarray, " samples"] = _share(bins, 1, weights) - _share(bins, 2, weights)
    return found


def _share(bins: ndarray, part: int, weights: ndarray | None) -> Float[ndarray, " samples"]:
    summed = _summed(bins, weights)
    found: Float[ndarray, " samples"] = summed[part].sum(1) / summed[0].sum(1)
    return found


def _bins(bins: ndarray, weights: ndarray, edges: Int[ndarray, " cells"]) -> tuple[Bin, ...]:
    (counts, confidence, right), samples = _summed(bins, None)[:, 0], _summed(bins, weights)
    found = []
    for number in np.flatnonzero(counts):
        steps, some = np.flatnonzero(edges == number), samples[0][:, number] > 0
        shares = samples[2][some, number] / samples[0][some, number]
        found.append(
            Bin(
                float(steps[0] / _CELLS),
                float((steps[-1] + 1) / _CELLS),
                float(confidence[number] / counts[number]),
                float(right[number] / counts[number]),
                float(shares.std(ddof=1)) if len(shares) > 1 else 0.0,
                int(counts[number]),
            )
        )
    return tuple(found)


def _table(bins: tuple[Bin, ...]) -> Table:
    rows = tuple(
        (f"{one.low:.3f} to {one.high:.3f}", one.confidence, one.accuracy, one.error, one.tokens) for one in bins
    )
    return Table(("confidence", "mean", "accuracy", "±", "guesses"), rows)
