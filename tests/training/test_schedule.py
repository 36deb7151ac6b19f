from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.training.schedule import SCHEDULES, factor

RUN = st.integers(1, 300).flatmap(lambda steps: st.tuples(st.just(steps), st.integers(0, steps)))


@given(st.sampled_from(sorted(SCHEDULES)), RUN, st.floats(0.05, 1), st.floats(0, 1))
def test_every_schedule_rises_to_the_peak_and_falls_to_the_end(
    name: str, run: tuple[int, int], decay_fraction: float, final: float
) -> None:
    steps, warmup = run
    rates = [
        factor(name, step, steps, warmup_steps=warmup, decay_fraction=decay_fraction, final=final)
        for step in range(1, steps + 1)
    ]
    up, down = rates[:warmup], rates[warmup:]
    assert up == [step / warmup for step in range(1, warmup + 1)]
    assert all(later <= earlier for earlier, later in pairwise(down))
    assert all(final <= rate <= 1 + 1e-12 for rate in down)
    assert all(rate > 0 for rate in rates), "no step is wasted on a learning rate of nothing"


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_goes_from_one_to_nothing(name: str) -> None:
    assert SCHEDULES[name](0.0, 0.4) == 1.0
    assert SCHEDULES[name](1.0, 0.4) == 0.0


@given(st.floats(0, 1))
def test_shapes_are_those_of_the_papers(progress: float) -> None:
    assert SCHEDULES["linear"](progress, 0.4) == 1 - progress
    assert math.isclose(SCHEDULES["cosine"](progress, 0.4), math.cos(math.pi * progress / 2) ** 2, abs_tol=1e-14)
    stable = SCHEDULES["wsd"](progress, 0.25)
    assert stable == 1 if progress <= 0.75 else math.isclose(stable, 4 * (1 - progress), abs_tol=1e-14)


def test_the_whole_of_the_run_may_be_warmup() -> None:
    assert factor("linear", 4, 4, warmup_steps=4) == 1.0
    assert factor("cosine", 1, 1, warmup_steps=1) == 1.0
