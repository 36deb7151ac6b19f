from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.evaluation.agreement import NAMES, agreement


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    truth, guess = np.array(pairs).T
    found = agreement(truth, guess, np.arange(len(truth)), 4)
    assert found.values["accuracy"] == pytest.approx(metrics.accuracy_score(truth, guess))
    labels = sorted({*truth.tolist(), *guess.tolist()})
    expected = metrics.f1_score(truth, guess, average="macro", labels=labels, zero_division=0)
    assert found.values["macro_f1"] == pytest.approx(expected)
    if len(labels) > 1:  # of one class scikit-learn warns
        assert found.values["mcc"] == pytest.approx(metrics.matthews_corrcoef(truth, guess), abs=1e-9)
    assert set(found.errors) == set(NAMES) and found.items == len(pairs)


def test_the_error_of_accuracy_is_that_of_a_share() -> None:
    numbers = np.random.default_rng(0)
    truth = numbers.integers(0, 2, 900)
    guess = np.where(numbers.random(900) < 0.8, truth, 1 - truth)
    found = agreement(truth, guess, np.arange(900), 2)
    share = found.values["accuracy"]
    assert found.errors["accuracy"] == pytest.approx((share * (1 - share) / 900) ** 0.5, rel=0.15)


def test_words_of_a_sentence_are_resampled_together() -> None:
    numbers = np.random.default_rng(0)
    right = np.repeat(numbers.random(60) < 0.7, 10).astype(np.int64)
    truth = np.ones(600, np.int64)
    alone = agreement(truth, right, np.arange(600), 2).errors["accuracy"]
    together = agreement(truth, right, np.repeat(np.arange(60), 10), 2).errors["accuracy"]
    assert together > 2.5 * alone
