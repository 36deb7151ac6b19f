"""What a frozen network knows: a linear classifier on its states, beside what needs no network.

Of the training texts a fifth, chosen by content, is set apart. On it the layer, the pooling and the strength of the
regularisation are chosen; the classifier is then fitted to all of them, and asked the test texts once. A network of the
same shape with first weights is probed in the same way: what it reaches is the shape's merit, not that of learning.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from textus.dataset.labelled_texts import Labelled, LabelledText, TaggedText
from textus.errors import ConfigError
from textus.evaluation.agreement import Agreement
from textus.evaluation.features import Features, Pooled
from textus.progress import Task

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Values of scikit-learn's `C` for states, the strongest regularisation first."""
_SPARSE_STRENGTHS = (0.1, 1.0, 10.0, 100.0)
_MOST_STEPS = 300
Labels = Int[ndarray, " items"]


@dataclass(frozen=True, eq=False)
class Split:
    """Items to learn from, with some of them set apart to choose on."""

    labels: Labels
    apart: Bool[ndarray, " items"]


@dataclass(frozen=True)
class Chosen:
    """What was best on the part that was set apart."""

    layer: int
    pooling: Pooled
    strength: float
    accuracy: float
    """There."""


@dataclass(frozen=True)
class Row:
    """A line of the table of a probe."""

    name: str
    agreement: Agreement
    how: str


def require() -> None:
    """Raise `ConfigError` where scikit-learn is not installed."""
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise ConfigError(
            "probing needs scikit-learn, which is not installed", hint="pip install 'textus[probe]'"
        ) from None


class Fitter:
    """Fits logistic regressions, and counts those that did not come to their end."""

    def __init__(self) -> None:
        self.fits = self.unfinished = 0

    def path(self, x: Any, y: Labels, strengths: Sequence[float]) -> Iterator[tuple[float, Any]]:
        """Yield classifiers from the strongest regularisation to the weakest, each begun where the last one ended."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(max_iter=_MOST_STEPS, tol=1e-3, warm_start=True)
        for strength in strengths:
            model.set_params(C=strength)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(x, y)
            self.fits += 1
            self.unfinished += int(np.max(model.n_iter_) >= _MOST_STEPS)
            yield strength, model


def choose(train: Features, split: Split, fitter: Fitter, task: Task) -> tuple[Chosen, list[Chosen]]:
    """Return the best layer, pooling and strength, and the best strength of each layer and pooling."""
    found = []
    for layer, pooling, states in train.named():
        scaled = _Scale(states[~split.apart])
        x, held = scaled(states[~split.apart]), scaled(states[split.apart])
        best = _best(fitter.path(x, split.labels[~split.apart], STRENGTHS), held, split.labels[split.apart])
        found.append(Chosen(layer, pooling, *best))
        task.advance()
    # the first of equals: the lowest layer
    return max(found, key=lambda one: one.accuracy), found


def guess(train: Features, test: Features, chosen: Chosen, labels: Labels, fitter: Fitter) -> Labels:
    """Fit the chosen classifier to all of the training items and return its guesses of the test items."""
    where = chosen.layer, train.poolings.index(chosen.pooling)
    scaled = _Scale(train.values[where])
    ((_, model),) = fitter.path(scaled(train.values[where]), labels, [chosen.strength])
    found: Labels = model.predict(scaled(test.values[where]))
    return found


class _Scale:
    """Shift and divide each number to mean 0 and deviation 1."""

    def __init__(self, states: Float[ndarray, "items hidden"]) -> None:
        self._mean = states.mean(0, dtype=np.float64)
        spread = states.std(0, dtype=np.float64)
        self._spread = np.where(spread > 1e-9, spread, 1.0)

    def __call__(self, states: Float[ndarray, "items hidden"]) -> Float[ndarray, "items hidden"]:
        found: Float[ndarray, "items hidden"] = ((states - self._mean) / self._spread).astype(np.float32)
        return found


def _best(path: Iterator[tuple[float, Any]], held: Any, labels: Labels) -> tuple[float, float]:
    """Return the strongest regularisation among the best, and its accuracy."""
    best = (0.0, -1.0)
    for strength, model in path:
        accuracy = float((model.predict(held) == labels).mean())
        if accuracy > best[1]:
            best = strength, accuracy
    return best


def majority(train: Labels, test: int) -> Labels:
    """Guess what is most frequent in training."""
    return np.full(test, np.bincount(train).argmax(), np.int64)


def word_majority(train: Sequence[str], labels: Labels, test: Sequence[str]) -> Labels:
    """Guess of each word what is most frequent for it in training, and for a new word what is most frequent at all."""
    counts: dict[str, dict[int, int]] = {}
    for word, label in zip(train, labels.tolist(), strict=True):
        row = counts.setdefault(word, {})
        row[label] = row.get(label, 0) + 1
    usual = int(np.bincount(labels).argmax())
    best = {word: min(row, key=lambda label: (-row[label], label)) for word, row in counts.items()}
    return np.array([best.get(word, usual) for word in test], np.int64)


def tfidf(
    train: Sequence[str], test: Sequence[str], split: Split, fitter: Fitter, *, words: bool
) -> tuple[Labels, str]:
    """Guess by logistic regression on TF-IDF: words and pairs of words of a text, or the letters of a word."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    def vectors() -> Any:
        if words:
            return TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), lowercase=False, sublinear_tf=True)
        return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\S+")

    inner = [text for text, apart in zip(train, split.apart.tolist(), strict=True) if not apart]
    held = [text for text, apart in zip(train, split.apart.tolist(), strict=True) if apart]
    made = vectors()
    path = fitter.path(made.fit_transform(inner), split.labels[~split.apart], _SPARSE_STRENGTHS)
    strength, _ = _best(path, made.transform(held), split.labels[split.apart])
    made = vectors()
    ((_, model),) = fitter.path(made.fit_transform(train), split.labels, [strength])
    found: Labels = model.predict(made.transform(test))
    return found, f"C {strength:g}, {len(made.vocabulary_):,} terms"


def texts_of(examples: Sequence[Labelled], kept: Sequence[int]) -> list[str]:
    """Return what TF-IDF reads of each item; of a sentence the first `kept` words."""
    found: list[str] = []
    for one, count in zip(examples, kept, strict=True):
        found += one.words[:count] if isinstance(one, TaggedText) else [_joined(one)]
    return found


def _joined(one: LabelledText) -> str:
    return one.text if one.pair is None else f"{one.text} {one.pair}"


def number_labels(examples: Sequence[Labelled], kept: Sequence[int], known: Callable[[str], int]) -> Labels:
    """Return the number of each item's label."""
    found = [known(label) for one, count in zip(examples, kept, strict=True) for label in one.labels[:count]]
    return np.array(found, np.int64)
