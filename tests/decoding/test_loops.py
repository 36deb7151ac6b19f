import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.decoding.loops import LONGEST, LoopDetector


def by_force(tokens: list[int], times: int) -> tuple[int, ...]:
    for length in range(1, min(LONGEST, len(tokens) // times) + 1):
        run = tokens[-length:]
        if tokens[-length * times :] == run * times:
            return tuple(run)
    return ()


@given(st.lists(st.integers(0, 2), max_size=60), st.integers(2, 5))
def test_it_finds_what_comparing_every_run_finds(tokens, times):
    loops = LoopDetector(times)
    for end, token in enumerate(tokens, 1):
        assert loops.push(token) == by_force(tokens[:end], times)


@pytest.mark.parametrize("length", [1, 50, LONGEST])
def test_the_longest_run_is_found_at_its_last_token(length):
    loops, run = LoopDetector(3), tuple(range(length))
    found = [loops.push(token) for token in run * 3]
    assert found == [()] * (3 * length - 1) + [run]


def test_a_longer_run_is_not_looked_for():
    loops = LoopDetector(2)
    assert not any(loops.push(token) for _ in range(2) for token in range(LONGEST + 1))
