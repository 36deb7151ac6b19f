"""Answers without a network: what a model must beat to be worth its time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from textus.dataset.labelled_texts import TaggedText

_STRENGTHS = (0.1, 1.0, 10.0, 100.0)
"""Of the logistic regression: the inverse of its regularisation; the best on the examples that choose is taken."""
ABSENT = "TF-IDF with logistic regression is left out: scikit-learn is not installed (pip install 'textus[heads]')."


def is_absent() -> bool:
    """Tell whether scikit-learn is not installed."""
    return find_spec("sklearn") is None


def bag_of_words(
    train: Sequence[str],
    labels: Int[ndarray, " texts"],
    choice: Sequence[str],
    choice_labels: Int[ndarray, " texts"],
    test: Sequence[str],
) -> Int[ndarray, " texts"] | None:
    """Answer by logistic regression on TF-IDF of words and pairs of words.

    None where scikit-learn is not there, and where there is nothing to count.
    """
    if is_absent() or len(set(labels.tolist())) < 2:
        return None
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b|[^\w\s]")
    try:
        known = vectors.fit_transform(train)
    except ValueError:  # no word in any text
        return None
    kept, asked = vectors.transform(choice), vectors.transform(test)
    fitted: list[Any] = [LogisticRegression(C=strength, max_iter=1000).fit(known, labels) for strength in _STRENGTHS]
    best = max(fitted, key=lambda one: float((one.predict(kept) == choice_labels).mean()))
    answered: np.ndarray = best.predict(asked)
    return answered


def commonest_tags(train: Sequence[TaggedText], test: Sequence[TaggedText]) -> list[list[str]]:
    """Give each word the tag that it has most often, and unknown words the tag that is commonest."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for text in train:
        for word, tag in zip(text.words, text.tags, strict=True):
            seen[word][tag] += 1
    (commonest,) = sum(seen.values(), Counter()).most_common(1)
    known = {word: tags.most_common(1)[0][0] for word, tags in seen.items()}
    return [[known.get(word, commonest[0]) for word in text.words] for text in test]
