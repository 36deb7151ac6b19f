from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.config import replace
from textus.errors import CorpusError
from textus.evaluation.calibration import BINS, Calibration, Reliability, calibrate, calibrate_masked, report
from textus.evaluation.masked import evaluate_masked
from textus.model.transformer import Transformer


def made(confidence: np.ndarray, right: np.ndarray, documents: int = 40) -> Calibration:
    sums, owners = Reliability(), np.arange(len(confidence)) % documents
    for part in np.array_split(np.arange(len(confidence)), 3):
        sums.add(owners[part], owners[part], confidence[part], right[part])
    return sums.calibration("next token", documents, 1, 0.0, "t", "d")


def value(found: Calibration, name: str) -> float:
    return next(score.value for score in found.scores if score.name == name)


def guesses_of(seed: int, count: int = 3000, power: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Right with a probability that is a power of the confidence."""
    numbers = np.random.default_rng(seed)
    confidence = numbers.beta(1, 2, count)
    return confidence, numbers.random(count) < confidence**power


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(50, 2000))
def test_errors_are_those_of_a_plain_loop(seed: int, count: int) -> None:
    confidence, right = guesses_of(seed, count)
    found = made(confidence, right)
    wide = even = 0.0
    for number in range(BINS):
        inside = (confidence > number / BINS) & (confidence <= (number + 1) / BINS)
        if inside.any():
            wide += inside.sum() / count * abs(confidence[inside].mean() - right[inside].mean())
    order = np.argsort(confidence)
    place = np.empty(count, np.int64)
    place[order] = BINS * np.arange(count) // count
    for number in range(BINS):
        inside = place == number
        even += inside.sum() / count * abs(confidence[inside].mean() - right[inside].mean())
    assert value(found, "ece_equal_width") == pytest.approx(wide, abs=1e-12)
    # steps of confidence that a border cuts go to one side whole
    assert value(found, "ece_equal_mass") == pytest.approx(even, abs=0.02)
    assert value(found, "overconfidence") == pytest.approx(confidence.mean() - right.mean())
    assert sum(one.tokens for one in found.equal_mass) == sum(one.tokens for one in found.equal_width) == count


def test_the_reliability_is_that_of_scikit_learn() -> None:
    calibration = pytest.importorskip("sklearn.calibration")
    confidence, right = guesses_of(1)
    shares, means = calibration.calibration_curve(right, confidence, n_bins=BINS, strategy="uniform")
    found = made(confidence, right).equal_width
    assert [one.accuracy for one in found] == pytest.approx(shares.tolist())
    assert [one.confidence for one in found] == pytest.approx(means.tolist())


def test_bins_of_equal_mass_hold_as_many_and_cut_no_tie() -> None:
    confidence, right = guesses_of(2, 30_000)
    sizes = [one.tokens for one in made(confidence, right).equal_mass]
    assert len(sizes) == BINS and max(sizes) - min(sizes) < 100
    same = made(np.full(1000, 0.7), np.arange(1000) < 400)
    assert [(one.tokens, one.accuracy) for one in same.equal_mass] == [(1000, 0.4)]
    assert value(same, "ece_equal_mass") == pytest.approx(0.3)


@pytest.mark.parametrize(("power", "word"), [(2.0, "overconfident"), (0.5, "underconfident")])
def test_the_sign_is_told(power: float, word: str) -> None:
    found = made(*guesses_of(3, 5000, power))
    assert (value(found, "overconfidence") > 0) is (power > 1)
    assert word in report([found]).text()
    page = report([found]).html()
    assert page.count("<polyline") == 3 and "Bins of equal mass" in page
    assert "about as sure as it is right" in report([made(*guesses_of(3, 5000, 1.0))]).text()


def test_the_error_is_the_spread_of_repeated_measurements() -> None:
    found = [made(*guesses_of(seed, 1000)) for seed in range(40)]
    spread = np.std([value(one, "overconfidence") for one in found], ddof=1)
    errors = [next(score.error for score in one.scores if score.name == "overconfidence") for one in found]
    assert np.mean(errors) == pytest.approx(spread, rel=0.45)


def documents_of(lengths: list[int]) -> list[tuple[np.ndarray, int]]:
    numbers = np.random.default_rng(7)
    return [(np.array([0, *numbers.integers(4, 250, length), 0]), 2 * length) for length in lengths]


@torch.no_grad()
def test_next_tokens_are_those_of_a_plain_loop(model: Any, tokenizer: Any) -> None:
    texts, confidence, right = documents_of([40, 0, 9]), [], []
    for tokens, _ in texts:
        for target in range(1, len(tokens)):
            begin = max(0, -(-(target - 16) // 8)) * 8
            shares = model(torch.from_numpy(tokens[None, begin:target])).logits[0, -1].softmax(-1)
            confidence.append(float(shares.max()))
            right.append(bool(shares.argmax() == tokens[target]))
    found = calibrate(model, tokenizer, texts, data="d", stride=8)
    assert (found.tokens, found.documents, found.num_bytes) == (len(right), 3, 98)
    assert value(found, "confidence") == pytest.approx(np.mean(confidence), rel=1e-5)
    assert value(found, "accuracy") == pytest.approx(np.mean(right))
    assert "blocks of few documents" in found.note
    assert all(score.error >= 0 for score in found.scores)


def test_hidden_tokens_are_those_of_the_masked_scores(model: Any, tokenizer: Any) -> None:
    hybrid = Transformer(replace(model.config, {"reads_both_ways": True}), seed=2).eval()
    texts = documents_of([20] * 25)
    found = calibrate_masked(hybrid, tokenizer, texts, data="d")
    scores = evaluate_masked(hybrid, tokenizer, texts, data="d")
    assert found.tokens == scores.tokens and found.num_bytes == scores.num_bytes
    assert value(found, "accuracy") == pytest.approx(scores.score("masked_accuracy").value)
    assert "hidden token" in report([found]).text() and "25 documents" in found.note


@pytest.mark.parametrize("lengths", [[], [0]])
def test_no_text_is_an_error(model: Any, tokenizer: Any, lengths: list[int]) -> None:
    with pytest.raises(CorpusError, match="no text"):
        calibrate(model, tokenizer, documents_of(lengths), data="d", stride=8)
    hybrid = Transformer(replace(model.config, {"reads_both_ways": True})).eval()
    with pytest.raises(CorpusError, match="no token to hide"):
        calibrate_masked(hybrid, tokenizer, documents_of(lengths), data="d")
