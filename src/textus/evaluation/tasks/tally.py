"""From what a model says of each item to scores with standard errors, of all items and of those that are clean."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from textus.evaluation.estimate import ratio
from textus.evaluation.tasks.config import Kind
from textus.report import Score

_SAME = 1e-6
"""Log-likelihoods that differ by no more than this share of them are equal: float32 tells no finer."""
_LARGEST = 700
"""The largest exponent that gives a number."""


@dataclass(frozen=True)
class TaskScore(Score):
    """One number of one task."""

    task: str
    method: str
    """How the model was asked: `causal`, `word-l2r`, `original` or `generation`."""


def credit(values: Sequence[float], gold: int) -> tuple[float, bool]:
    """Return what an item counts: 1 where the right answer is best, of `n` that are equally good 1/n; and if it ties.

    >>> credit([-3.0, -1.0], 1), credit([-2.0, -2.0], 0), credit([-1.0, -3.0], 1)
    ((1.0, False), (0.5, True), (0.0, False))
    """
    most = max(values)
    equal = [value >= most - _SAME * abs(most) for value in values]
    return (1 / sum(equal), sum(equal) > 1) if equal[gold] else (0.0, False)


class Tally:
    """Keep some numbers of each item: 8 bytes for each metric, and 9 besides."""

    def __init__(self, task: str, kind: Kind, method: str, tokenizer: str, data: str) -> None:
        self._about = (tokenizer, data, task, method)
        self._kind = kind
        self._values: dict[str, array[float]] = {}
        self._groups: dict[str, int] = {}
        self._group, self._seen = array("q"), array("b")
        self.ties = 0
        """Items whose right answer is as likely as another."""

    def add(self, values: dict[str, float], *, group: str = "", seen: bool = False, ties: bool = False) -> None:
        """Enter an item by its metrics, which are the same for all items of a task."""
        for name, value in values.items():
            self._values.setdefault(name, array("d")).append(value)
        self._group.append(self._groups.setdefault(group, len(self._groups)))
        self._seen.append(seen)
        self.ties += ties

    @property
    def count(self) -> int:
        """Return how many items were entered."""
        return len(self._group)

    @property
    def seen(self) -> Bool[ndarray, " items"]:
        """Tell which items training has."""
        return np.array(self._seen, bool)

    def scores(self, *, clean: bool = False) -> tuple[TaskScore, ...]:
        """Return every score of all items, or of those that training does not have; none where there are none."""
        kept = ~self.seen if clean else np.ones(self.count, bool)
        if not kept.any():
            return ()
        found = list(self._text(kept) if self._kind == "text" else self._means(kept))
        return tuple(TaskScore(name, value, error, unit, *self._about) for name, value, error, unit in found)

    def groups(self) -> list[dict[str, Any]]:
        """Return the first metric of each group, where there are several."""
        if len(self._groups) < 2 or self._kind == "text":
            return []
        values, group = self._column(self._first), np.array(self._group)
        found = []
        for name, number in self._groups.items():
            mean, error = mean_error(values[group == number])
            found.append({"group": name, "items": int((group == number).sum()), self._first: mean, "error": error})
        return found

    @property
    def _first(self) -> str:
        return next(iter(self._values))

    def _column(self, name: str) -> Float[ndarray, " items"]:
        return np.array(self._values[name], np.float64)

    def _means(self, kept: Bool[ndarray, " items"]) -> list[tuple[str, float, float, str]]:
        found = []
        for name in self._values:
            mean, error = mean_error(self._column(name)[kept])
            if name == "nats":  # the perplexity of what was asked, word by word
                value = math.exp(mean) if mean < _LARGEST else math.inf
                found.append(("perplexity", value, value * error, "per answer"))
            else:
                found.append((name, mean, error, "of items"))
        numbers = np.array(self._group)[kept]
        if len(np.unique(numbers)) > 1:
            parts = [mean_error(self._column(self._first)[kept][numbers == one]) for one in np.unique(numbers)]
            error = math.sqrt(sum(error**2 for _, error in parts)) / len(parts)
            mean = sum(mean for mean, _ in parts) / len(parts)
            found.append((f"{self._first}_by_group", mean, error, f"mean over {len(parts)} groups"))
        return found

    def _text(self, kept: Bool[ndarray, " items"]) -> list[tuple[str, float, float, str]]:
        nats, words, num_bytes = (self._column(name)[kept] for name in ("nats", "words", "bytes"))
        found = []
        for name, sizes, unit in (("word_perplexity", words, "per word"), ("byte_perplexity", num_bytes, "per byte")):
            rate, error = ratio(nats, sizes) if len(nats) > 1 else (float(nats.sum() / sizes.sum()), math.inf)
            value = math.exp(rate) if rate < _LARGEST else math.inf
            found.append((name, value, value * error, unit))
        bits = (rate / math.log(2), error / math.log(2))
        return [*found, ("bits_per_byte", *bits, "bits/byte")]


def mean_error(values: Float[ndarray, " items"]) -> tuple[float, float]:
    """Return a mean and its standard error, which is infinite for a single value.

    >>> mean_error(np.array([0.0, 1.0, 1.0, 0.0]))[0], round(mean_error(np.array([0.0, 1.0, 1.0, 0.0]))[1], 4)
    (0.5, 0.2887)
    """
    if len(values) < 2:
        return float(values.mean()), math.inf
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))
