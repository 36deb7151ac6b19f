from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textus.dataset.loader import Loader
from textus.dataset.pack import Windows
from textus.errors import ConfigError
from textus.training import ramp
from textus.training.config import ModelSettings, TrainConfig
from textus.training.machine import Machine
from textus.training.plan import TextSize, plan, retime
from textus.training.recipe import Recipe

RAMPS = {"rows": st.integers(1, 300), "ramp_steps": st.integers(0, 200), "start": st.floats(0.01, 1.0)}


@given(**RAMPS)
def test_batches_double_until_they_are_whole(rows: int, ramp_steps: int, start: float) -> None:
    before = [ramp.rows_before(step, rows, ramp_steps, start) for step in range(ramp_steps + 5)]
    shown = [after - begin for begin, after in itertools.pairwise(before)]
    assert before[0] == 0
    assert all(count >= 1 for count in shown)
    assert shown == sorted(shown)
    assert set(shown[ramp_steps:]) == {rows}
    assert all(count <= rows for count in shown)
    if ramp_steps > 20 and start <= 0.5:
        assert shown[0] == max(1, round(rows * start))
        for small, large in itertools.pairwise(sorted(set(shown))):
            assert large <= 2 * small + 1


@given(st.floats(0, 1), st.floats(0.01, 1.0))
def test_the_mean_share_is_that_of_many_steps(part: float, start: float) -> None:
    steps, rows = 10_000, 10_000
    shown = ramp.rows_before(steps, rows, round(part * steps), start)
    assert ramp.mean_share(part, start) == pytest.approx(shown / steps / rows, abs=2e-3)


def test_off_is_the_plain_product() -> None:
    for settings in ({}, {"batch_ramp": 0.5, "batch_start": 1.0}):
        recipe = Recipe(steps=100, batch_tokens=640, **settings)
        assert [recipe.rows_before(step, 64) for step in (0, 1, 60, 100)] == [0, 10, 600, 1000]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_each_window_is_shown_once_and_in_order_whatever_the_ranks(bench: Any, world: int) -> None:
    windows = Windows(bench.shards.split("train"), 16, 1, seed=1)
    recipe = Recipe(steps=30, batch_tokens=12 * 16, batch_ramp=0.6)

    def before(steps: int) -> int:
        return recipe.rows_before(steps, 16)

    loaders = [Loader(windows, 12, rank, world, before) for rank in range(world)]
    shown = [number for step in range(30) for loader in loaders for number in loader.numbers(step).tolist()]
    assert shown == list(range(before(30)))
    parts = [loader.window(4).tokens for loader in loaders]
    assert torch.equal(torch.cat(parts), Loader(windows, 12, rows_before=before).window(4).tokens)


def test_a_batch_too_small_for_the_ranks_is_refused(bench: Any) -> None:
    windows = Windows(bench.shards.split("train"), 16, 1, seed=1)
    recipe = Recipe(steps=30, batch_tokens=4 * 16, batch_ramp=0.6)
    loader = Loader(windows, 4, 1, 4, lambda steps: recipe.rows_before(steps, 16))
    with pytest.raises(ConfigError, match="step 1 has 1 windows for 4 processes") as caught:
        loader.numbers(0)
    assert "training.batch_start" in caught.value.hint
    assert loader.numbers(29).tolist() == [recipe.rows_before(29, 16) + 1]


def test_a_plan_takes_more_steps_for_the_same_tokens() -> None:
    text, machine = TextSize(10**7, 10**6, 10**7, 4096), Machine("cpu", "x86_64", 2, 10**11, 0, "fp32", 1e11)
    shape = ModelSettings(num_layers=2, hidden_size=64, context_length=64)
    plain, ramped = (
        plan(text, shape, TrainConfig(minutes=5.0, batch_ramp=part, batch_tokens=4096), machine) for part in (0.0, 0.5)
    )
    assert ramped.tokens == ramped.recipe.rows_before(ramped.recipe.steps, 64) * 64
    assert ramped.tokens == pytest.approx(plain.tokens, rel=0.01)
    assert ramped.recipe.steps == pytest.approx(plain.recipe.steps / 0.6875, rel=0.01)
    again = retime(ramped, text, shape, TrainConfig(minutes=5.0, batch_ramp=0.5), machine, speed=1000.0)
    assert again.tokens == pytest.approx(1000 * 300 * 0.94, rel=0.02)
