"""A classifier of words and letters: TF-IDF and logistic regression. The floor that a network has to beat.

It knows words and no meaning: `How do I kill a Python process?` is as bad to it as the same about a person.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textus import storage
from textus.corpus.filters.regression import Rows, fit, sigmoid
from textus.errors import ArtefactError
from textus.safety.fold import fold

WIDTH = 1 << 18
KIND = "lexical guard"
_WORD = re.compile(r"\w+")
_STRENGTH = 1.0
_LETTERS = (3, 4, 5)
_MOST_WORD = 24


@dataclass(frozen=True)
class Lexical:
    """Score texts by their words, pairs of words and runs of letters."""

    categories: tuple[str, ...]
    idf: NDArray[np.float32]
    weights: NDArray[np.float32]
    """Row by row those of a category."""
    intercepts: NDArray[np.float32]

    def __call__(self, text: str) -> dict[str, float]:
        """Return the probability of each category."""
        return dict(zip(self.categories, self.scores([text])[0].tolist(), strict=True))

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the probabilities of some texts, a row each."""
        return sigmoid(self.margins(texts))

    def margins(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return the logits of these probabilities."""
        rows = _weighted(texts, self.idf)
        columns = [
            rows.times(weights) + float(bias) for weights, bias in zip(self.weights, self.intercepts, strict=True)
        ]
        return np.stack(columns, 1)

    def save(self, directory: Path) -> None:
        """Write it into a directory of its own."""
        from safetensors.numpy import save_file

        with storage.new_directory(directory) as partial:
            arrays = {"idf": self.idf, "weights": self.weights, "intercepts": self.intercepts}
            save_file(arrays, partial / "lexical.safetensors")
            storage.seal(partial, KIND, "", {}, {"categories": list(self.categories)})

    @classmethod
    def load(cls, directory: Path) -> Lexical:
        """Open one that was saved."""
        from safetensors.numpy import load_file

        found = storage.verify(directory, KIND, ArtefactError)
        return cls(tuple(found.facts["categories"]), **load_file(directory / "lexical.safetensors"))


def learn(texts: Sequence[str], labels: Mapping[str, Sequence[bool | None]]) -> Lexical:
    """Learn to tell each category from the texts that have it and those that have not; None where that is not known."""
    counted = [_features(text) for text in texts]
    seen = np.zeros(WIDTH)
    for features in counted:
        seen[np.fromiter(features, np.int64, len(features))] += 1
    idf = np.log((1 + len(texts)) / (1 + seen)).astype(np.float32) + 1
    rows = _rows(counted, idf)
    learnt = []
    for found in labels.values():
        known = np.asarray([one is not None for one in found])
        learnt.append(fit(rows, np.asarray([bool(one) for one in found], float), known.astype(float), _STRENGTH))
    return Lexical(
        tuple(labels),
        idf,
        np.stack([weights for weights, _ in learnt]).astype(np.float32),
        np.asarray([bias for _, bias in learnt], np.float32),
    )


def _weighted(texts: Sequence[str], idf: NDArray[np.float32]) -> Rows:
    return _rows([_features(text) for text in texts], idf)


def _rows(counted: Sequence[Counter[int]], idf: NDArray[np.float32]) -> Rows:
    columns, values, sizes = [], [], [0]
    for features in counted:
        column = np.fromiter(features.keys(), np.int32, len(features))
        value = (1 + np.log(np.fromiter(features.values(), np.float32, len(features)))) * idf[column]
        norm = float(np.sqrt((value * value).sum()))
        columns.append(column)
        values.append((value / norm if norm else value).astype(np.float32))
        sizes.append(len(column))
    return Rows(
        np.concatenate(columns) if columns else np.zeros(0, np.int32),
        np.concatenate(values) if values else np.zeros(0, np.float32),
        np.cumsum(sizes),
        WIDTH,
    )


def _features(text: str) -> Counter[int]:
    return Counter(zlib.crc32(name.encode("utf-8", "surrogatepass")) % WIDTH for name in _names(fold(text).text))


def _names(text: str) -> Iterator[str]:
    words = _WORD.findall(text)
    yield from words
    yield from map(" ".join, pairwise(words))
    for word in words:
        padded = f"<{word[:_MOST_WORD]}>"
        for size in _LETTERS:
            yield from (f"#{padded[at : at + size]}" for at in range(len(padded) - size + 1))
