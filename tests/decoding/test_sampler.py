import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.decoding.history import NO_TOKEN
from textus.decoding.sampler import Places, best, draw, uniform

GOLDEN = [0.4092034264366923, 0.7086130094831474, 0.11979816548018529, 0.6326190104898891]
SEEDS = st.integers(0, 2**64 - 1)
MASK = 2**64 - 1
PART = 1 << 15


def many(count: int) -> Places:
    return Places.of(5, range(count), position=2)


def by_hand(seed: int, row: int, position: int, token: int) -> float:
    """The same in Python's whole numbers."""

    def mix(bits: int) -> int:
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
        return bits ^ (bits >> 31)

    key = mix((mix((mix(seed) + row) & MASK) + position) & MASK)
    return ((mix((key + (token + 1) * 0x9E3779B97F4A7C15) & MASK) >> 12) + 0.5) / 2**52


@given(SEEDS, st.integers(0, 2**20), st.integers(0, 10**6))
def test_the_numbers_of_a_place_are_the_hash_that_they_are_said_to_be(seed, row, position):
    found = uniform(Places.of(seed, [row], position), 3)[0].tolist()
    assert found == [by_hand(seed, row, position, token) for token in range(3)]
    assert all(0 < number < 1 for number in found)


def test_the_numbers_of_a_place_never_change():
    assert uniform(Places.of(7, [1], position=3), 4)[0].tolist() == GOLDEN


@pytest.mark.parametrize("bits", [0, 2**52 - 1])
def test_noise_is_finite_for_the_least_and_the_greatest_number(bits):
    number = (torch.tensor(float(bits), dtype=torch.float64) + 0.5) * 2.0**-52
    assert 0 < number < 1
    assert (-(-number.log()).log()).isfinite()


def test_numbers_are_spread_evenly_along_every_coordinate():
    size, fixed = 20000, torch.zeros(20000, dtype=torch.int64)
    count = torch.arange(size)
    for numbers in (
        uniform(Places(count, fixed, fixed), 1)[:, 0],
        uniform(Places(fixed, count, fixed), 1)[:, 0],
        uniform(Places(fixed, fixed, count), 1)[:, 0],
        uniform(Places.of(0, [0], 0), size)[0],
    ):
        counts = torch.histc(numbers, bins=20, min=0, max=1)
        chi_square = ((counts - size / 20) ** 2 / (size / 20)).sum().item()
        assert chi_square < 43.8  # 99.9 % of a chi-square with 19 degrees of freedom
        assert abs(torch.corrcoef(torch.stack([numbers[:-1], numbers[1:]]))[0, 1]) < 0.03


def tally(logits: torch.Tensor, size: int, seed: int = 5) -> torch.Tensor:
    """Count the tokens of so many draws, in parts that fit a cache."""
    counts = torch.zeros(len(logits), dtype=torch.int64)
    for first in range(0, size, PART):
        rows = torch.arange(first, min(first + PART, size))
        places = Places(torch.full_like(rows, seed), rows, torch.full_like(rows, 2))
        drawn = draw(logits.expand(len(rows), len(logits)), places)
        counts += torch.bincount(drawn, minlength=len(logits))
    return counts


def test_tokens_come_as_often_as_their_probability_says():
    size = 1_000_000
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0, -math.inf, 0.5, -3.0, -7.0])
    drawn, expected = tally(logits, size), logits.double().softmax(-1) * size
    assert drawn[4] == 0
    kept = expected > 0
    chi_square = ((drawn - expected)[kept] ** 2 / expected[kept]).sum().item()
    assert chi_square < 22.5  # 99.9 % of a chi-square with 6 degrees of freedom


def test_no_token_of_probability_zero_in_ten_million_draws():
    # An exponential race p/q loses this: where q is 0 it is 0/0, and NaN wins (pytorch #48841).
    assert tally(torch.tensor([-math.inf, 0.0, -math.inf]), 10_000_000).tolist() == [0, 10_000_000, 0]


def test_the_tail_is_drawn_as_often_as_it_should_be():
    # With noise of 24 bits a rare token would come never or far too often.
    size, rare = 2_000_000, 1e-5
    drawn = int(tally(torch.tensor([math.log(rare), math.log1p(-rare)]), size)[0])
    assert abs(drawn - size * rare) < 4 * math.sqrt(size * rare)


@given(SEEDS, st.integers(0, 100), st.lists(st.integers(0, 50), min_size=1, max_size=6, unique=True))
@settings(max_examples=50)
def test_a_draw_depends_neither_on_neighbours_nor_on_order(seed, position, rows):
    logits = torch.randn(51, 40, generator=torch.Generator().manual_seed(0))
    together = draw(logits[rows], Places.of(seed, rows, position)).tolist()
    assert together == [draw(logits[[row]], Places.of(seed, [row], position)).item() for row in rows]
    assert together[::-1] == draw(logits[rows[::-1]], Places.of(seed, rows[::-1], position)).tolist()


def test_a_draw_leaves_the_generators_of_torch_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    draw(torch.zeros(2, 5), Places.of(9, [0, 1], 0))
    assert torch.equal(before, torch.random.get_rng_state())


def test_tokens_behind_the_vocabulary_change_no_draw():
    logits = torch.randn(64, 40, generator=torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(logits, (0, 24), value=-math.inf)
    assert torch.equal(draw(logits, many(64)), draw(padded, many(64)))


@given(st.lists(st.sampled_from([-math.inf, -100.0, 0.0]), min_size=2, max_size=30), SEEDS)
def test_a_token_without_probability_is_never_drawn(row, seed):
    row = [*row, 0.0]
    (token,) = draw(torch.tensor([row]), Places.of(seed, [0], 0)).tolist()
    assert row[token] > -math.inf


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_rows_that_are_no_numbers_have_no_token_and_leave_their_neighbours_alone(bad):
    logits = torch.tensor([[0.0, 1.0], [0.0, bad], [-math.inf, -math.inf], [2.0, 1.0]])
    assert best(logits).tolist() == [1, NO_TOKEN, NO_TOKEN, 0]
    drawn = draw(logits, many(4)).tolist()
    assert drawn[1:3] == [NO_TOKEN, NO_TOKEN]
    assert {drawn[0], drawn[3]} <= {0, 1}


def test_two_distributions_that_nearly_agree_draw_the_same_token_nearly_always():
    size = 20000
    first = torch.randn(1, 30, generator=torch.Generator().manual_seed(0))
    second = first + 0.2 * torch.randn(1, 30, generator=torch.Generator().manual_seed(1))
    distance = (first.softmax(-1) - second.softmax(-1)).abs().sum().item() / 2
    alike = draw(first.expand(size, 30), many(size)) == draw(second.expand(size, 30), many(size))
    assert alike.double().mean() >= (1 - distance) / (1 + distance) - 0.01
