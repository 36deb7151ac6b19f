import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.decoding.sampler import best, draw, uniform
from textus.errors import ArtefactError

GOLDEN = [0.011546754286331562, 0.0931189622036861, 0.638710178297594]
SEEDS = st.integers(0, 2**64 - 1)


def test_the_numbers_of_a_place_never_change():
    assert [uniform(0, 0, 0), uniform(7, 1, 3), uniform(2**64 - 1, 0, 10**9)] == GOLDEN


@given(SEEDS, st.integers(0, 1000), st.integers(0, 10**6))
def test_numbers_are_in_the_half_open_unit_interval(seed, row, position):
    assert 0 <= uniform(seed, row, position) < 1


def test_numbers_are_spread_evenly_along_every_coordinate():
    size = 4000
    for numbers in (
        [uniform(seed, 0, 0) for seed in range(size)],
        [uniform(0, row, 0) for row in range(size)],
        [uniform(0, 0, position) for position in range(size)],
    ):
        counts = torch.histc(torch.tensor(numbers), bins=20, min=0, max=1)
        chi_square = ((counts - size / 20) ** 2 / (size / 20)).sum().item()
        assert chi_square < 43.8  # 99.9 % of a chi-square with 19 degrees of freedom


def test_tokens_come_as_often_as_their_probability_says():
    size, vocab = 20000, 8
    logits = torch.randn(1, vocab, generator=torch.Generator().manual_seed(3))
    drawn = draw(logits.expand(size, vocab), seed=5, position=2, rows=range(size))
    expected = logits[0].double().softmax(-1) * size
    chi_square = ((torch.bincount(drawn, minlength=vocab) - expected) ** 2 / expected).sum().item()
    assert chi_square < 24.3  # 99.9 % of a chi-square with 7 degrees of freedom


@given(SEEDS, st.integers(0, 100), st.lists(st.integers(0, 50), min_size=1, max_size=6, unique=True))
@settings(max_examples=50)
def test_a_draw_depends_neither_on_neighbours_nor_on_order(seed, position, rows):
    logits = torch.randn(51, 40, generator=torch.Generator().manual_seed(0))
    together = draw(logits[rows], seed, position, rows).tolist()
    assert together == [draw(logits[[row]], seed, position, [row]).item() for row in rows]
    assert together[::-1] == draw(logits[rows[::-1]], seed, position, rows[::-1]).tolist()


@given(st.lists(st.sampled_from([-math.inf, -100.0, 0.0]), min_size=2, max_size=30), SEEDS)
def test_a_token_without_probability_is_never_drawn(row, seed):
    row = [*row, 0.0]
    (token,) = draw(torch.tensor([row]), seed, 0, [0]).tolist()
    assert row[token] > -math.inf


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_no_numbers_are_refused(bad):
    with pytest.raises(ArtefactError, match="not finite"):
        draw(torch.tensor([[0.0, bad]]), 0, 0, [0])
    with pytest.raises(ArtefactError, match="not finite"):
        best(torch.tensor([[1.0, 0.0], [0.0, bad]]))


def test_a_row_without_any_token_is_refused():
    with pytest.raises(ArtefactError, match="not finite"):
        draw(torch.full((1, 3), -math.inf), 0, 0, [0])
