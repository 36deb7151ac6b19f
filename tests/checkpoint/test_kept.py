"""A checkpoint that an earlier commit (8fedb92) has written is still opened, and still means the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from textus.checkpoint import training_state
from textus.checkpoint.checkpoint import load
from textus.training.loop import TrainState
from textus.training.recipe import Recipe
from textus.training.saving import take_up

KEPT = Path(__file__).parent / "kept"
LOGITS = (0.1401726, 0.1832267, 0.1279069, 0.2340404, 0.1853921, 0.2959220)
"""What its writer has said of token 0 to 5 after these same tokens."""


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    shutil.copytree(KEPT, tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


def test_its_checksums_hold_and_its_model_answers_as_it_did(kept: Path) -> None:
    newest, passed = training_state.newest(kept)
    assert newest == training_state.path(kept, 3) and not passed
    opened = load(newest)
    with torch.inference_mode():
        logits = opened.model(torch.arange(6).view(1, 6)).logits[0, -1, :6]
    torch.testing.assert_close(logits, torch.tensor(LOGITS), rtol=1e-4, atol=1e-5)
    assert opened.tokenizer.decode(opened.tokenizer.encode("red wool")) == "red wool"


def test_training_goes_on_from_it(kept: Path) -> None:
    opened = load(training_state.path(kept, 3))
    state = TrainState.start(opened.model, Recipe(steps=3))
    state.restore(training_state.read(opened.directory, state.optimizer))
    take_up(opened.model, state, training_state.beside(opened.directory))
    assert (state.step, state.launched, len(state.monitor.losses)) == (3, 3, 3)
    assert state.tokens > 0 and state.first_loss > 5
    names = {name for group in state.optimizer.param_groups for name in group["names"]}
    assert names == set(opened.model.own_parameters())
    for group in state.optimizer.param_groups:
        for parameter in group["params"]:
            assert float(state.optimizer.state[parameter]["step"]) == 3
            assert state.optimizer.state[parameter]["exp_avg"].shape == parameter.shape
