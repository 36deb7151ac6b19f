from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.objectives.objective import Batch
from textus.training import footprint
from textus.training.config import ModelSettings, TrainConfig
from textus.training.machine import Machine
from textus.training.plan import TextSize, plan
from textus.training.precision import Precision
from textus.training.recipe import Recipe
from textus.training.recompute import recomputed

CONFIG = ModelConfig(64, 32, 3, 32, 4, 2, 8, 64, dropout=0.3)


def batch() -> Batch:
    tokens = torch.randint(64, (4, 32), generator=torch.Generator().manual_seed(1))
    documents = (torch.arange(32) // 11).expand(4, 32)
    return Batch.of(tokens, tokens.roll(-1, 1), documents)


def gradients(model: Transformer, precision: Any) -> tuple[list[torch.Tensor], int]:
    """The gradients of one batch, and the bytes that were kept for the backward pass."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    model.train()
    model.zero_grad()
    torch.manual_seed(7)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), Precision(precision, "cpu").autocast():
        total = Causal().loss(model, batch()).total
    held = sum(kept.values())
    total.backward()  # type: ignore[no-untyped-call]
    found = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return found, held


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradients_are_the_same_to_the_last_bit_and_less_is_kept(precision: Any, dropout: float) -> None:
    model = Transformer(dataclasses.replace(CONFIG, dropout=dropout), seed=2)
    plain, held = gradients(model, precision)
    with recomputed(model):
        again, less = gradients(model, precision)
    assert len(plain) == len(list(model.parameters()))
    assert all(map(torch.equal, again, plain))
    assert less < held / 2
    after, _ = gradients(model, precision)
    assert all(map(torch.equal, after, plain))
    assert not any("forward" in vars(block) for block in model.blocks)


def test_evaluation_is_left_alone() -> None:
    model = Transformer(CONFIG).eval()
    with recomputed(model), torch.inference_mode():
        first = Causal().loss(model, batch()).total
    assert first == Causal().loss(model, batch()).total


TEXT = TextSize(10**8, 10**6, 10**8, 8192)
SHAPE = ModelSettings(num_layers=12, hidden_size=512, context_length=1024)
TRAINING = TrainConfig(steps=100, batch_tokens=65_536, micro_batch_tokens=65_536)


def planned(memory: int, training: TrainConfig = TRAINING) -> Any:
    return plan(TEXT, SHAPE, training, Machine("cuda", "NVIDIA H100", 8, memory, 0, "bf16", 5e14))


def test_auto_computes_again_only_what_would_not_fit() -> None:
    free = planned(10**12)
    assert free.recipe.recompute == "off"
    tight = planned(free.memory_bytes - 1)
    assert tight.recipe.recompute == "blocks"
    assert tight.memory_bytes < free.memory_bytes / 1.5
    assert tight.seconds == pytest.approx(free.seconds * 4 / 3)
    assert "training.recompute" in " ".join(tight.notes)
    assert planned(free.memory_bytes).recipe.recompute == "off"
    for word in ("off", "blocks"):
        chosen = planned(free.memory_bytes - 1, dataclasses.replace(TRAINING, recompute=word))
        assert chosen.recipe.recompute == word
    assert "lower training.micro_batch_tokens" in " ".join(planned(10**9).notes)


def test_a_plan_counts_what_settings_hold() -> None:
    def held(*, cpu: bool = False, **settings: Any) -> float:
        return footprint.state_bytes(CONFIG, Recipe(**settings), cpu=cpu) / CONFIG.num_parameters()

    assert held() == held(saving="blocking") == 16
    assert held(ema=0.9) == held(swa=0.1) == 20
    assert held(cpu=True) == 28 and held(cpu=True, saving="blocking") == 16 and held(cpu=True, ema=0.9) == 36
    assert held(future_tokens=2) > 16
