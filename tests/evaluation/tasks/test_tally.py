from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.evaluation.tasks.tally import Tally, credit


def tally(kind: Any = "choice") -> Tally:
    return Tally("name", kind, "causal", "tokenizer", "data")


@given(st.lists(st.integers(-9, 0).map(float), min_size=2, max_size=5), st.data())
def test_credit_is_what_a_fair_draw_among_the_best_gives(values: list[float], data: Any) -> None:
    shares = [credit(values, gold)[0] for gold in range(len(values))]
    assert sum(shares) == pytest.approx(1)
    gold = data.draw(st.integers(0, len(values) - 1))
    best = [number for number, value in enumerate(values) if value == max(values)]
    assert credit(values, gold) == (1 / len(best) if gold in best else 0, gold in best and len(best) > 1)


def test_what_float32_cannot_tell_is_a_tie() -> None:
    assert credit([-50.00001, -50.0], 0) == (0.5, True)
    assert credit([-50.001, -50.0], 0) == (0.0, False)


@given(st.lists(st.booleans(), min_size=2, max_size=40), st.lists(st.booleans(), min_size=40, max_size=40))
def test_scores_are_means_with_their_errors_and_those_of_the_clean(right: list[bool], seen: list[bool]) -> None:
    counted = tally()
    for one, is_seen in zip(right, seen, strict=False):
        counted.add({"accuracy": float(one)}, seen=is_seen)
    (score,) = counted.scores()
    values = np.array(right, float)
    assert score.value == pytest.approx(values.mean())
    assert score.error == pytest.approx(values.std(ddof=1) / math.sqrt(len(values)))
    assert (score.name, score.task, score.method, score.data) == ("accuracy", "name", "causal", "data")
    clean = [one for one, is_seen in zip(right, seen, strict=False) if not is_seen]
    found = counted.scores(clean=True)
    assert [score.value for score in found] == ([pytest.approx(sum(clean) / len(clean))] if clean else [])


def test_groups_are_averaged_with_equal_weight() -> None:
    counted = tally()
    for group, values in {"a": [1, 1, 1, 0], "b": [0, 1]}.items():
        for value in values:
            counted.add({"accuracy": float(value), "other": 0.0}, group=group)
    by_group = next(score for score in counted.scores() if score.name == "accuracy_by_group")
    assert by_group.value == pytest.approx((0.75 + 0.5) / 2)
    assert by_group.error == pytest.approx(math.sqrt(0.25**2 + 0.5**2) / 2)
    assert [(one["group"], one["items"], one["accuracy"]) for one in counted.groups()] == [
        ("a", 4, 0.75),
        ("b", 2, 0.5),
    ]


def test_last_words_have_a_perplexity() -> None:
    counted = tally("cloze")
    for nats in (1.0, 3.0):
        counted.add({"accuracy": 0.0, "nats": nats})
    perplexity = counted.scores()[1]
    assert (perplexity.name, perplexity.value) == ("perplexity", pytest.approx(math.exp(2)))
    assert perplexity.error == pytest.approx(math.exp(2) * 1)


def test_texts_have_ratios_of_sums() -> None:
    counted = tally("text")
    for nats, words, num_bytes in ((10.0, 5, 20), (2.0, 1, 10)):
        counted.add({"nats": nats, "words": float(words), "bytes": float(num_bytes)})
    found = {score.name: score for score in counted.scores()}
    assert found["word_perplexity"].value == pytest.approx(math.exp(2))
    assert found["byte_perplexity"].value == pytest.approx(math.exp(12 / 30))
    assert found["bits_per_byte"].value == pytest.approx(12 / 30 / math.log(2))
    assert found["word_perplexity"].error == pytest.approx(0) and found["bits_per_byte"].error > 0


def test_one_item_has_no_error_that_could_be_told() -> None:
    counted = tally()
    counted.add({"accuracy": 1.0})
    assert counted.scores()[0].error == math.inf
    assert tally().scores() == ()
