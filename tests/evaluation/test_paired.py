from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.errors import NotComparable
from textus.evaluation.estimate import Units
from textus.evaluation.paired import Metric, compare, paired

METRICS: tuple[Metric, ...] = ("loss", "perplexity", "bits_per_byte")
NATS = st.lists(st.tuples(st.floats(1, 50), st.floats(1, 50), st.integers(5, 40)), min_size=2, max_size=9)


def units(nats: object, tokens: object, kind: str = "document") -> Units:
    tokens = np.asarray(tokens)
    return Units(kind, np.asarray(nats, float), tokens, tokens * 3)  # type: ignore[arg-type]


def value(one: Units, metric: Metric) -> float:
    loss = one.nats.sum() / one.tokens.sum()
    return {"loss": loss, "perplexity": math.exp(loss), "bits_per_byte": loss / math.log(2) / 3}[metric]


@given(NATS, st.sampled_from(METRICS))
def test_the_difference_is_that_of_the_scores(rows: list[tuple[float, float, int]], metric: Metric) -> None:
    first, second, tokens = zip(*rows, strict=True)
    one, other = units(first, tokens), units(second, tokens)
    found = compare(one, other, metric)
    assert found.difference == pytest.approx(value(other, metric) - value(one, metric), abs=1e-9)
    assert found.low <= found.high and 0 <= found.p_value <= 1
    assert found.win_rate == np.mean([0.5 if a == b else float(b < a) for a, b, _ in rows])


@given(NATS, st.sampled_from(METRICS))
def test_p_of_few_documents_counts_every_exchange(rows: list[tuple[float, float, int]], metric: Metric) -> None:
    first, second, tokens = zip(*rows, strict=True)
    found = compare(units(first, tokens), units(second, tokens), metric)
    all_of_them = []
    for exchanged in itertools.product((False, True), repeat=len(rows)):
        pairs = [(b, a) if turn else (a, b) for (a, b, _), turn in zip(rows, exchanged, strict=True)]
        one, other = zip(*pairs, strict=True)
        all_of_them.append(value(units(other, tokens), metric) - value(units(one, tokens), metric))
    near = 1e-9 * (1 + abs(found.difference))
    far = sum(abs(other) >= abs(found.difference) + near for other in all_of_them) / len(all_of_them)
    at_least = sum(abs(other) >= abs(found.difference) - near for other in all_of_them) / len(all_of_them)
    assert far - 1e-12 <= found.p_value <= at_least + 1e-12


def test_p_of_many_documents_is_near_that_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(3)
    first = rng.gamma(3, 10, 60)
    second = first + rng.normal(0.4, 1.5, 60)
    found = compare(units(first, np.full(60, 20)), units(second, np.full(60, 20)), "loss")
    oracle = stats.permutation_test(
        (first, second), lambda a, b: b.mean() - a.mean(), permutation_type="samples", n_resamples=20_000, rng=rng
    )
    assert found.p_value == pytest.approx(oracle.pvalue, abs=0.01)


@pytest.mark.parametrize("metric", METRICS)
def test_the_interval_is_scipys(metric: Metric) -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(4)
    tokens = rng.integers(20, 400, 50)
    first = rng.gamma(8, 0.4, 50) * tokens
    second = first + rng.gamma(2, 0.05, 50) * tokens  # skewed: the corrections have something to do
    found = compare(units(first, tokens), units(second, tokens), metric)

    def statistic(a: np.ndarray, b: np.ndarray, size: np.ndarray) -> float:
        return value(units(b, size), metric) - value(units(a, size), metric)

    oracle = stats.bootstrap(
        (first, second, tokens), statistic, paired=True, vectorized=False, n_resamples=9999, method="BCa", rng=rng
    ).confidence_interval
    width = oracle.high - oracle.low
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=0.06 * width)


def test_equal_models_differ_by_nothing() -> None:
    one = units([3.0, 4.0, 5.0], [2, 3, 4])
    found = compare(one, one, "perplexity")
    assert (found.difference, found.low, found.high, found.p_value, found.win_rate) == (0, 0, 0, 1, 0.5)
    assert not found.is_told


def test_one_document_gives_a_difference_and_no_assurance() -> None:
    found = compare(units([4.0], [2]), units([2.0], [2]), "loss")
    assert (found.difference, found.low, found.high, found.p_value) == (-1, -1, -1, 1)


def test_the_same_call_gives_the_same_numbers() -> None:
    rng = np.random.default_rng(5)
    one, other = (units(rng.gamma(2, 10, 40), np.full(40, 9)) for _ in range(2))
    assert compare(one, other, "loss") == compare(one, other, "loss")


def test_what_has_no_pairs_is_refused() -> None:
    with pytest.raises(NotComparable, match="2 blocks of the one against 3"):
        paired(units([1, 2], [1, 1], "block"), units([1, 2, 3], [1, 1, 1], "block"))
