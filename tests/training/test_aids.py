from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from textus.checkpoint import training_state
from textus.checkpoint.checkpoint import load_model
from textus.errors import ConfigError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.training.aids import attach
from textus.training.loop import TrainState
from textus.training.recipe import Recipe

CONFIG = ModelConfig(32, 16, 2, 16, 2, 1, 8, 24)


def test_a_model_has_the_aids_that_are_asked_for() -> None:
    model = Transformer(CONFIG)
    own = set(model.own_parameters())
    attach(model, Recipe())
    assert model.aids is None
    attach(model, Recipe(future_tokens=2, z_loss=0.5))
    assert model.aids is not None
    assert (len(model.aids.heads), model.aids.z_loss) == (2, 0.5)
    assert set(model.own_parameters()) == own
    more = set(dict(model.named_parameters())) - own
    assert more == {"aids.heads.0.turn.weight", "aids.heads.1.turn.weight"}
    assert {model.parameter_roles()[name] for name in more} == {"matrix"}
    states = torch.randn(2, 3, 16)
    assert [torch.equal(turned, states) for _, turned in model.aids.futures(states)] == [True, True]
    attach(model, Recipe(z_loss=0.1))
    assert set(dict(model.named_parameters())) == own


def test_what_makes_no_sense_is_refused() -> None:
    both_ways = Transformer(dataclasses.replace(CONFIG, attention="bidirectional", prediction_offset=0))
    with pytest.raises(ConfigError, match="future_tokens is 1, and a model that reads both ways"):
        attach(both_ways, Recipe(future_tokens=1))
    attach(both_ways, Recipe(z_loss=1e-4))
    with pytest.raises(ConfigError, match="future_tokens is 16, and a context holds 16"):
        attach(Transformer(CONFIG), Recipe(future_tokens=16))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_heads_learn_and_no_model_keeps_them(bench: Any, tmp_path: Path, optimizer: str) -> None:
    run = bench.run(tmp_path, future_tokens=2, z_loss=1e-3, optimizer=optimizer)
    state = run.finish()
    assert run.model.aids is None
    last = training_state.path(run.checkpoints, state.step)
    heads = training_state.beside(last)
    assert len(heads) == 2 and all(head.abs().max() > 0 for head in heads.values())
    kept = load_model(last)
    assert set(dict(kept.named_parameters())) == set(dict(run.model.named_parameters()))
    state = TrainState.start(run.model, run.recipe)
    assert {name for group in state.optimizer.param_groups for name in group["names"]} >= set(heads)
