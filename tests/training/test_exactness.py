"""What a run carries besides weights and moments survives a kill too, to the last bit; see also `test_run`."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from textus.checkpoint.checkpoint import load_model
from textus.dataset.loader import Loader
from textus.dataset.pack import Windows
from textus.dataset.window import Window
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.objectives.objective import IGNORE
from textus.training import loop, question
from textus.training.loop import Step, TrainState, train
from textus.training.recipe import Recipe

CASES: dict[str, dict[str, Any]] = {
    "ema": {"ema": 0.9, "model": {"dropout": 0.1}},
    "swa": {"swa": 0.5, "micro_batch_tokens": 3 * 16},
    "ema of the tail, muon": {"ema": 0.8, "swa": 0.7, "optimizer": "muon", "schedule": "linear"},
    "z-loss and future tokens": {"z_loss": 1e-3, "future_tokens": 2, "model": {"dropout": 0.1}, "ema": 0.7},
    "future tokens, muon": {"future_tokens": 1, "optimizer": "muon", "micro_batch_tokens": 3 * 16},
    "ramp over epochs": {
        "steps": 30, "batch_tokens": 20 * 16, "batch_ramp": 0.6, "batch_start": 0.1, "checkpoint_every": 7,
    },
    "decay to nothing": {"weight_decay_schedule": "linear", "weight_decay": 1.0},
    "decay with the rate, muon": {"weight_decay_schedule": "rate", "weight_decay": 1.0, "optimizer": "muon"},
    "recomputed": {"recompute": "blocks", "model": {"dropout": 0.2}, "micro_batch_tokens": 4 * 16},
    "everything": {
        "ema": 0.9, "z_loss": 1e-3, "future_tokens": 1, "batch_ramp": 0.5, "weight_decay_schedule": "linear",
        "recompute": "blocks", "optimizer": "muon", "model": {"dropout": 0.1}, "micro_batch_tokens": 3 * 16,
        "precision": "bf16",
    },
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_run_that_is_killed_and_resumed_is_the_same_to_the_last_bit(bench: Any, tmp_path: Path, case: str) -> None:
    settings = CASES[case]
    run = bench.run(tmp_path / "whole", **settings)
    whole = bench.outcome(run, run.finish())
    steps = settings.get("steps", 12)
    for at in random.Random(case).sample(range(5, steps + 1), 2):
        bench.stopped(tmp_path / str(at), at, **settings)
        run = bench.run(tmp_path / str(at), **settings)
        bench.assert_same(bench.outcome(run, run.finish()), whole)


@pytest.mark.parametrize("case", ["everything", "swa"])
def test_sent_ahead_it_is_the_same_too(bench: Any, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = bench.run(tmp_path / "waiting", **CASES[case])
    waiting = bench.outcome(run, run.finish())
    monkeypatch.setattr(loop, "runs_ahead", lambda recipe: True)
    run = bench.run(tmp_path / "ahead", **CASES[case])
    ahead = bench.outcome(run, run.finish())
    assert hash(ahead["weights"]) == hash(waiting["weights"])
    bench.stopped(tmp_path / "again", 9, **CASES[case])
    run = bench.run(tmp_path / "again", **CASES[case])
    bench.assert_same(bench.outcome(run, run.finish()), ahead)


def test_a_kill_at_the_end_of_an_epoch_and_beside_it_is_no_exception(bench: Any, tmp_path: Path) -> None:
    rows, per_epoch = 8, Windows(bench.shards.split("train"), 16, 1, seed=1).per_epoch
    last = -(-per_epoch // rows)  # the step in which the second epoch begins
    settings = {"steps": last + 3, "checkpoint_every": 1, "micro_batch_tokens": 3 * 16, "evaluate_every": 1000}
    run = bench.run(tmp_path / "whole", **settings)
    whole = bench.outcome(run, run.finish())
    for at in (last, last + 1, last + 2):
        bench.stopped(tmp_path / str(at), at, **settings)
        run = bench.run(tmp_path / str(at), **settings)
        bench.assert_same(bench.outcome(run, run.finish()), whole)


def test_a_kill_in_the_middle_of_an_accumulation_leaves_the_step_before(bench: Any, tmp_path: Path) -> None:
    class Cut(Exception):
        """Ends a run in the middle of a step."""

    asked = 0

    class Cutting(Causal):
        def loss(self, model: Transformer, batch: Any) -> Any:
            nonlocal asked
            if model.training:
                asked += 1
                if asked == 6 * 4 + 3:  # the third of four parts of step 7
                    raise Cut
            return super().loss(model, batch)

    settings = {"micro_batch_tokens": 2 * 16, "checkpoint_every": 1, "ema": 0.9}
    run = bench.run(tmp_path / "whole", **settings)
    whole = bench.outcome(run, run.finish())
    Cutting.__name__ = "Causal"  # by which its checkpoints are known
    with pytest.raises(Cut):
        bench.run(tmp_path / "cut", objective=Cutting(), **settings).finish()
    run = bench.run(tmp_path / "cut", **settings)
    bench.assert_same(bench.outcome(run, run.finish()), whole)
    assert "resuming after step 6 of 12" in bench.said(run)


class Uneven(Causal):
    """Causal, but hardly anything is asked of most rows, and nothing of some."""

    def batch(self, window: Window, generator: torch.Generator) -> Any:
        share = torch.rand(len(window.tokens), 1, generator=generator) ** 4
        share[::3] = 0
        asked = torch.rand(window.tokens.shape, generator=generator) < share
        asked[1, 5] = True
        return super().batch(Window(window.tokens, window.documents, window.predict & asked), generator)


@pytest.mark.parametrize("aids", [{}, {"z_loss": 0.01, "future_tokens": 2}], ids=["plain", "with aids"])
def test_a_gradient_is_the_same_however_it_is_accumulated_over_uneven_masks(bench: Any, aids: dict[str, Any]) -> None:
    config = ModelConfig(bench.tokenizer.vocab_size, 16, 2, 16, 2, 1, 8, 32)
    windows = Windows(bench.shards.split("train"), 16, 1, 1)

    def gradient(micro: int) -> dict[str, torch.Tensor]:
        recipe = Recipe(steps=1, batch_tokens=128, micro_batch_tokens=micro * 16, gradient_clip="off", **aids)
        model = Transformer(config, seed=1)
        state, found = TrainState.start(model, recipe), {}

        def take(*_: Any) -> None:
            found.update({name: value.grad.clone() for name, value in model.named_parameters()})

        state.optimizer.register_step_pre_hook(take)
        list(train(model, Loader(windows, 8), Uneven(), recipe, state))
        return found

    batch = Uneven().batch(windows.rows(range(8)), generator(1))
    counts = [part.count for part in batch.split(1)]
    assert len(set(counts)) > 2 and len(counts) < 8  # they are uneven, and some rows ask nothing
    whole = gradient(8)
    for micro in (4, 3, 1):
        for name, value in gradient(micro).items():
            assert (value - whole[name]).abs().max() <= 1e-6 * max(1.0, whole[name].abs().max()), (micro, name)
    if not aids:
        model = Transformer(config, seed=1)
        scores = model(batch.tokens, batch.documents).logits.flatten(0, 1)
        functional.cross_entropy(scores, batch.labels.flatten(), ignore_index=IGNORE).backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(whole[name], parameter.grad, rtol=1e-4, atol=1e-6)


def generator(step: int) -> torch.Generator:
    return torch.Generator().manual_seed(question.step_seed(1, step))


def test_where_a_run_saves_in_the_background_it_is_the_same_as_where_it_waits(bench: Any, tmp_path: Path) -> None:
    settings = {"checkpoint_every": 1, "keep_last": 20, "ema": 0.9, "future_tokens": 1, "optimizer": "muon"}
    outcomes = {}
    for saving in ("background", "blocking"):
        run = bench.run(tmp_path / saving, saving=saving, **settings)
        outcomes[saving] = bench.outcome(run, run.finish())
        files = sorted(path for path in run.checkpoints.rglob("*") if path.suffix == ".safetensors")
        outcomes[saving]["values"] = [hash(path.read_bytes()) for path in files]
    assert len(outcomes["blocking"]["values"]) == 12 * 3
    bench.assert_same(outcomes["background"], outcomes["blocking"])


def test_a_checkpoint_is_of_its_step_whatever_comes_after(bench: Any, tmp_path: Path) -> None:
    seen: dict[int, dict[str, torch.Tensor]] = {}

    def look(step: Step) -> None:
        seen[step.number] = {name: value.detach().cpu().clone() for name, value in run.model.named_parameters()}

    run = bench.run(tmp_path, on_step=look, checkpoint_every=1, keep_last=20, select="last")
    run.finish()
    for step, weights in seen.items():
        kept = load_model(run.checkpoints / f"step-{step:08d}")
        assert all(torch.equal(value, weights[name]) for name, value in kept.named_parameters())
