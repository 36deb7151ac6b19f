"""Merging against the formulas, written out with numpy, and what cannot be merged."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textus.checkpoint.merging import mean, on_the_arc, shares, slerp
from textus.errors import ConfigError
from textus.training.averaging import share as share_of_newest

NUMBERS = st.lists(st.floats(-10, 10, width=32), min_size=3, max_size=3)


@given(st.lists(NUMBERS, min_size=1, max_size=5), st.data())
def test_a_mean_is_the_weighted_sum(parts: list[list[float]], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.floats(0.1, 5), min_size=len(parts), max_size=len(parts)))
    of_each = shares("linear", len(parts), counts)
    found = mean([{"w": torch.tensor(part)} for part in parts], of_each)["w"].numpy()
    wanted = np.average(np.array(parts, np.float32).astype(np.float64), axis=0, weights=counts)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@given(st.integers(1, 12), st.floats(0.1, 1))
def test_what_forgets_is_the_average_that_training_keeps(count: int, decay: float) -> None:
    values = np.random.default_rng(count).normal(size=count)
    average = values[0]
    for number, value in enumerate(values[1:], 2):
        average += (value - average) * share_of_newest(decay, number)
    found = mean([{"w": torch.tensor([value])} for value in values], shares("ema", count, decay=decay))
    assert found["w"].item() == pytest.approx(average, rel=1e-9, abs=1e-12)


@given(NUMBERS, NUMBERS, st.floats(0, 1))
def test_the_arc_is_the_formula(one: list[float], other: list[float], at: float) -> None:
    a, b = (np.array(values, np.float64) for values in (one, other))
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    angle = math.acos(np.clip(a @ b / lengths, -1, 1)) if lengths else 0.0
    found = slerp(torch.tensor(one).double(), torch.tensor(other).double(), at).numpy()
    if math.sin(angle) > 1e-3:
        wanted = (math.sin((1 - at) * angle) * a + math.sin(at * angle) * b) / math.sin(angle)
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)
    elif not lengths:
        np.testing.assert_allclose(found, (1 - at) * a + at * b, rtol=1e-6, atol=1e-6)


def test_between_vectors_of_one_length_the_length_stays() -> None:
    one, other = torch.tensor([3.0, 0.0, 4.0]).double(), torch.tensor([0.0, 5.0, 0.0]).double()
    for at in (0.0, 0.2, 0.5, 1.0):
        (found,) = on_the_arc({"w": one}, {"w": other}, at).values()
        assert found.norm().item() == pytest.approx(5.0)
    assert slerp(one, other, 0.0).tolist() == one.tolist()
    assert slerp(one, one, 0.3).tolist() == one.tolist()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("linear", 2, (1.0,)), "1 weights for 2 models"),
        (("linear", 2, (1.0, -1.0)), "add up to 0"),
        (("linear", 2, (1.0, math.nan)), "add up to nan"),
        (("ema", 2, (), 0.0), "a decay of 0"),
    ],
)
def test_what_gives_no_shares_is_refused(asked: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        shares(*asked)
    assert raised.value.hint
