from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, get_swa_multi_avg_fn

from textus.checkpoint.checkpoint import load_model
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.training.averaging import Average
from textus.training.loop import Step
from textus.training.recipe import Recipe

STEPS = 9


def model(*, tied: bool = True) -> Transformer:
    return Transformer(ModelConfig(32, 16, 2, 16, 2, 1, 8, 24, tied_embeddings=tied), seed=3)


def walk(network: Transformer, step: int) -> None:
    """Change every weight, as an optimizer would."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += torch.randn(parameter.shape, generator=generator)


def averaged(network: Transformer, **settings: Any) -> Average:
    average = Average(network, Recipe(steps=STEPS, **settings))
    for step in range(1, STEPS + 1):
        walk(network, step)
        average.update(step)
    return average


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(("part", "first"), [(1.0, 1), (0.5, 6), (0.01, 9)])
def test_a_plain_mean_is_that_of_torch_to_the_last_bit(tied: bool, part: float, first: int) -> None:
    average = averaged(network := model(tied=tied), swa=part)
    theirs = AveragedModel(copied := model(tied=tied), multi_avg_fn=get_swa_multi_avg_fn())
    for step in range(1, STEPS + 1):
        walk(copied, step)
        if step >= first:
            theirs.update_parameters(copied)
    assert average.first == first
    wanted = dict(theirs.module.named_parameters())
    assert average.values.keys() == wanted.keys() == dict(network.named_parameters()).keys()
    for name, value in average.values.items():
        assert torch.equal(value, wanted[name]), name


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_a_moving_average_is_that_of_torch_without_the_bias_of_its_start(decay: float) -> None:
    average = averaged(model().double(), ema=decay)
    copied = model().double()
    theirs = AveragedModel(copied, multi_avg_fn=get_ema_multi_avg_fn(decay))
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.zero_()
    theirs.n_averaged.fill_(1)  # else the first weights, and not 0, are its start
    history = []
    for step in range(1, STEPS + 1):
        walk(copied, step)
        theirs.update_parameters(copied)
        history.append({name: value.detach().clone() for name, value in copied.named_parameters()})
    shares = [decay ** (STEPS - step) for step in range(1, STEPS + 1)]
    for name, parameter in theirs.module.named_parameters():
        torch.testing.assert_close(average.values[name], parameter / (1 - decay**STEPS), rtol=1e-10, atol=1e-12)
        weighted = sum(share * past[name] for share, past in zip(shares, history, strict=True))
        torch.testing.assert_close(average.values[name], weighted / sum(shares), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("tied", [True, False])
def test_it_is_shown_and_taken_back_and_survives_being_saved(tied: bool) -> None:
    network = model(tied=tied)
    average = averaged(network, swa=0.5)
    live = copy.deepcopy(dict(network.named_parameters()))
    values = copy.deepcopy(average.values)
    with average.shown():
        assert all(torch.equal(value, values[name]) for name, value in network.named_parameters())
        shown, behind = ({**part} for part in average.tensors())
        assert all(torch.equal(behind[name], values[name]) for name in behind)  # they have changed places
    assert all(torch.equal(value, live[name]) for name, value in network.named_parameters())
    assert all(torch.equal(value, values[name]) for name, value in average.values.items())
    shown, behind = average.tensors()
    resumed = model(tied=tied)
    with torch.no_grad():
        for name, parameter in resumed.named_parameters():
            parameter.copy_(shown[name])
    other = Average(resumed, Recipe(steps=STEPS, swa=0.5))
    other.restore(behind)
    assert all(torch.equal(value, live[name]) for name, value in resumed.named_parameters())
    assert all(torch.equal(value, values[name]) for name, value in other.values.items())
    other.settle()
    assert all(torch.equal(value, values[name]) for name, value in resumed.named_parameters())


def test_before_its_first_step_there_is_none() -> None:
    network = model()
    off, late = Average(network, Recipe(steps=STEPS)), Average(network, Recipe(steps=STEPS, swa=0.2))
    for step in range(1, 8):
        off.update(step)
        late.update(step)
    before = copy.deepcopy(dict(network.named_parameters()))
    for average in (off, late):
        assert average.tensors()[1] == {}
        with average.shown():
            assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())
    off.update(STEPS)
    late.update(8)
    assert not off.values and late.values
    late.restore({})  # back to a checkpoint from before its first step
    assert not late.values


def test_a_run_leaves_the_average_of_its_weights_and_measures_it(bench: Any, tmp_path: Path) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def look(step: Step) -> None:
        seen.append({name: value.detach().clone() for name, value in run.model.named_parameters()})

    run = bench.run(tmp_path, on_step=look, swa=0.5, select="last", precision="fp32")
    plain = bench.run(tmp_path / "plain", select="last")
    state = run.finish()
    plain.finish()
    wanted = {name: sum(past[name].double() for past in seen[6:]) / 6 for name in seen[-1]}
    kept = load_model(run.checkpoints / f"step-{state.step:08d}")
    for name, parameter in run.model.named_parameters():
        torch.testing.assert_close(parameter.double(), wanted[name], rtol=1e-5, atol=1e-6)
        assert torch.equal(dict(kept.named_parameters())[name], parameter)
    mine, other = bench.metrics(tmp_path), bench.metrics(tmp_path / "plain")
    for ours, theirs in zip(mine, other, strict=True):
        assert ours["loss"] == theirs["loss"]  # training goes on from the live weights
        if "validation_loss" in theirs:
            assert (ours["validation_loss"] == theirs["validation_loss"]) == (ours["step"] < 7)
