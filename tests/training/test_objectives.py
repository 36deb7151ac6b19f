"""Runs of every objective: the same after being killed, in any micro-batches, and a loss that falls."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from textus.dataset.pack import Windows
from textus.objectives.config import ObjectiveConfig
from textus.objectives.table import build
from textus.training.config import ModelSettings
from textus.training.reading import reading
from textus.training.run import Run

CASES: dict[str, dict[str, Any]] = {
    "masked": {"name": "masked", "mask_unit": "word"},
    "masked next token": {"name": "masked", "prediction_offset": 1, "mask_unit": "span", "balance": False},
    "hybrid": {"name": "hybrid"},
    "causal, then masked": {"name": "hybrid", "mix": "causal-then-masked"},
    "diffusion": {"name": "diffusion"},
}


def run_of(bench: Any, directory: Path, case: str, **options: Any) -> Run:
    config = ObjectiveConfig(**CASES[case])
    made = bench.run(directory, model={"num_kv_heads": 2}, micro_batch_tokens=3 * 16, **options)
    shape = reading(made.model.config, ModelSettings(num_heads=2), config)
    num_windows = made.recipe.steps * made.recipe.rows(shape.context_length)
    seed = made.recipe.seed
    return dataclasses.replace(
        made,
        model=type(made.model)(shape, seed=seed),
        objective=build(config, bench.tokenizer, num_windows, seed),
        training=Windows(bench.shards.split("train"), 16, config.offset, seed),
        validation=Windows(bench.shards.split("validation"), 16, config.offset, seed, ordered=True),
    )


class Stop(Exception):
    """Ends a run between two steps."""


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_is_killed_and_resumed_is_the_same_to_the_last_bit(bench: Any, tmp_path: Path, case: str) -> None:
    straight = run_of(bench, tmp_path / "straight", case)
    whole = bench.outcome(straight, straight.finish())

    def stop(step: Any) -> None:
        if step.number == 7:
            raise Stop

    with pytest.raises(Stop):
        run_of(bench, tmp_path / "killed", case, on_step=stop).finish()
    resumed = run_of(bench, tmp_path / "killed", case)
    bench.assert_same(bench.outcome(resumed, resumed.finish()), whole)
    lines = whole["metrics"]
    assert all("perplexity" not in line and "validation_perplexity" not in line for line in lines)
    assert lines[-1]["validation_loss"] < lines[2]["validation_loss"]


def test_settings_of_the_objective_are_part_of_what_a_run_is(bench: Any, tmp_path: Path) -> None:
    first, second = run_of(bench, tmp_path, "masked"), run_of(bench, tmp_path, "hybrid")
    assert first.identity["objective"]["unit"] == "word" and first.key != second.key
    assert second.identity["objective"]["masked"]["rate"] == 0.3


def test_heads_that_were_not_set_share_the_whole_width(bench: Any, tmp_path: Path) -> None:
    shape = dataclasses.replace(bench.run(tmp_path).model.config, hidden_size=48, head_size=32, num_heads=1)
    encoder = reading(shape, ModelSettings(), ObjectiveConfig(name="masked"))
    assert (encoder.num_heads, encoder.num_kv_heads, encoder.head_size, encoder.family) == (2, 2, 24, "modernbert")
    other = reading(shape, ModelSettings(), ObjectiveConfig(name="masked", prediction_offset=1))
    assert (other.num_heads, other.head_size, other.family, other.attention) == (1, 32, "qwen3", "bidirectional")
