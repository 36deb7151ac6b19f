"""What a GPU replays is what it would have been sent; where there is no GPU, a recipe changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from textus.training.recipe import Recipe
from textus.training.recorded import Recorded, alone
from textus.training.together import Alone

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout, several micro-batches": {"model": {"dropout": 0.2}, "micro_batch_tokens": 3 * 16},
    "muon, bf16": {"optimizer": "muon", "precision": "bf16"},
    "compiled": {"compile": "on", "precision": "bf16", "model": {"head_size": 16}},
}


@pytest.mark.parametrize(
    "changes",
    [{"device": "cpu"}, {"precision": "fp16"}, {"future_tokens": 1}, {"recompute": "blocks"}, {"record": "off"}],
)
def test_what_hangs_on_the_moment_is_not_recorded(changes: dict[str, Any]) -> None:
    recipe = Recipe(**{"record": "on", "device": "cuda"} | changes)
    assert type(alone(recipe)) is Alone
    assert type(alone(Recipe(record="on", device="cuda"))) is Recorded


@needs_gpu
@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_the_same_kernels_sent_one_by_one(bench: Any, tmp_path: Path, case: str) -> None:
    losses = []
    for record in ("off", "on"):
        run = bench.run(tmp_path / record, device="cuda", record=record, **CASES[case])
        run.finish()
        losses.append([line["loss"] for line in bench.metrics(run.directory) if "loss" in line])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@needs_gpu
@pytest.mark.parametrize("case", CASES)
def test_a_recorded_run_that_is_killed_goes_on_to_the_last_bit(bench: Any, tmp_path: Path, case: str) -> None:
    settings = CASES[case] | {"device": "cuda", "record": "on"}
    run = bench.run(tmp_path / "whole", **settings)
    whole = bench.outcome(run, run.finish())
    bench.stopped(tmp_path / "cut", 6, **settings)
    run = bench.run(tmp_path / "cut", **settings)
    bench.assert_same(bench.outcome(run, run.finish()), whole)
