from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.objectives.config import ObjectiveConfig
from textus.training import presets
from textus.training.config import ModelSettings, TrainConfig
from textus.training.machine import Machine
from textus.training.plan import EVALUATIONS, RESERVE, VALIDATION_TOKENS, TextSize, _validation, plan

CPU = Machine("cpu", "x86_64", 2, 2**34, 2**28, "fp32", 1e11)
GPU = Machine("cuda", "NVIDIA H200", 1, 2**37, 0, "bf16", 7e14)
BABY = TextSize(13_100_000, 551_000, 13_099_999, 16_384)


def made(found: Machine, text: TextSize = BABY, model: Any = None, **training: Any) -> Any:
    return plan(text, ModelSettings(**(model or {})), TrainConfig(**training), found)


def test_the_recipe_that_was_measured_on_a_gpu_is_planned_for_it() -> None:
    shape = {"num_layers": 12, "hidden_size": 768}
    found = made(GPU, model=shape, steps=1510, batch_tokens=32_768)
    recipe = found.recipe
    assert (recipe.optimizer, recipe.learning_rate, recipe.weight_decay) == ("muon", 0.002, 0.5)
    assert found.model.dropout == 0.2
    once = made(GPU, model=shape, steps=330, batch_tokens=32_768)
    assert (once.recipe.weight_decay, once.model.dropout) == (0.1, 0.0), "what is seen once need not be held back from"


@pytest.mark.parametrize("found", [CPU, GPU])
def test_what_is_set_is_kept(found: Machine) -> None:
    kept = made(found, model={"dropout": 0.05}, optimizer="adamw", weight_decay=0.7, learning_rate=3e-3, steps=9)
    assert (kept.recipe.optimizer, kept.recipe.weight_decay, kept.recipe.learning_rate) == ("adamw", 0.7, 3e-3)
    assert kept.model.dropout == 0.05


def test_a_cpu_uses_muon_where_it_costs_less_than_it_gains() -> None:
    for width, batch, wanted in ((96, 1024, "muon"), (256, 1024, "adamw"), (256, 2048, "muon"), (768, 2048, "adamw")):
        assert made(CPU, model={"hidden_size": width}, batch_tokens=batch, steps=9).recipe.optimizer == wanted
    assert made(GPU, model={"hidden_size": 1024}, batch_tokens=2048, steps=9).recipe.optimizer == "muon"


@given(st.integers(64, 4096), st.sampled_from(["adamw", "muon"]))
def test_rates_fall_with_the_width(width: int, name: Any) -> None:
    wide = made(CPU, model={"hidden_size": width, "head_size": 32}, optimizer=name, steps=5)
    double = made(CPU, model={"hidden_size": 2 * width, "head_size": 32}, optimizer=name, steps=5)
    assert double.recipe.learning_rate == pytest.approx(wide.recipe.learning_rate / 2**0.5, abs=2e-6)


@given(st.floats(0.01, 100), st.sampled_from([CPU, GPU]))
def test_more_repeats_are_held_back_no_less(epochs: float, found: Machine) -> None:
    assert presets.dropout(found, epochs) <= presets.dropout(found, 2 * epochs)
    assert presets.weight_decay(found, epochs) <= presets.weight_decay(found, 2 * epochs)


def test_all_that_was_planned_is_printed() -> None:
    found = made(GPU, model={"num_layers": 12, "hidden_size": 768}, steps=1510, batch_tokens=32_768)
    assert "muon, rate 0.002, weight decay 0.5, dropout 0.2" in found.text()
    started = plan(
        BABY, ModelSettings(context_length=4096), TrainConfig(steps=9, start_from="runs/short"), GPU, start=found.model
    )
    assert started.recipe.learning_rate == presets.CONTINUED * found.recipe.learning_rate
    assert "4 096, positions stretched 4 times (yarn)" in started.text() and "runs/short" in started.text()
    assert dataclasses.replace(
        started.model, context_length=1024, rope_scaling="none", rope_factor=1.0, rope_original_context=0
    ) == dataclasses.replace(found.model, dropout=started.model.dropout)


@pytest.mark.parametrize(
    ("name", "set_to", "tokens", "rates"),
    [
        ("masked", {}, 1_400_000, (0.5, 0.3)),
        ("masked", {}, presets.FEW_TOKENS, (0.3, 0.15)),
        ("hybrid", {}, 1_400_000, (0.3, 0.15)),
        ("masked", {"mask_rate": 0.4}, 1_400_000, (0.4, 0.15)),
        ("masked", {"final_mask_rate": 0.3}, 1_400_000, (0.3, 0.3)),
    ],
)
def test_a_short_masked_run_is_asked_for_more(
    name: str, set_to: dict[str, float], tokens: int, rates: tuple[float, float]
) -> None:
    asked = presets.asking(ObjectiveConfig(name=name, **set_to), tokens)  # type: ignore[arg-type]
    assert (asked.mask_rate, asked.final_mask_rate) == asked.rates == rates


@given(tokens=st.integers(10_000, 10**10), steps=st.integers(1, 10**6))
def test_measuring_on_the_way_stays_within_the_reserve(tokens: int, steps: int) -> None:
    found = _validation(steps, tokens, TrainConfig())
    size, times = found["evaluate_tokens"], -(-steps // found["evaluate_every"])
    fewest, most = VALIDATION_TOKENS
    assert fewest <= size <= most
    assert times <= 2 * EVALUATIONS and (times <= 2 or size * times / 3 <= 2 * RESERVE * tokens)  # whole steps round up
    kept = _validation(steps, tokens, TrainConfig(evaluate_tokens=512, evaluate_every=7))
    assert kept == {"evaluate_tokens": 512, "evaluate_every": 7}
