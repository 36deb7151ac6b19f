from __future__ import annotations

import math

import pytest

from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.training.optimizer import DECAYED, build
from textus.training.rates import set_rates
from textus.training.recipe import Recipe

STEPS = 20


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("schedule", ["constant", "linear", "rate"])
def test_every_group_is_told_its_rate_and_decay(optimizer: str, schedule: str) -> None:
    network = Transformer(ModelConfig(32, 16, 1, 16, 2, 1, 8, 24, tied_embeddings=False))
    recipe = Recipe(
        steps=STEPS, warmup_steps=4, schedule="cosine", weight_decay=0.3, learning_rate=0.02,
        weight_decay_schedule=schedule, optimizer=optimizer, final_learning_rate=0.1,
    )  # fmt: skip
    built = build(network, recipe)
    for number in range(1, STEPS + 1):
        rate = set_rates(built, recipe, number)
        progress = (number - 1 - 4) / (STEPS - 4)
        share = number / 4 if number <= 4 else 0.1 + 0.9 * (1 + math.cos(math.pi * progress)) / 2
        assert rate == pytest.approx(0.02 * share)
        wanted = 0.3 * {"constant": 1.0, "linear": 1 - (number - 1) / STEPS, "rate": share}[schedule]
        for group in built.param_groups:
            assert group["lr"] == rate
            assert group["weight_decay"] == pytest.approx(wanted if group["role"] in DECAYED else 0.0)
