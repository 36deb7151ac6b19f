"""What the optimizer is told before each step: the learning rate and the weight decay, from the step's number alone."""

from __future__ import annotations

import torch

from textus.training.optimizer import DECAYED
from textus.training.recipe import Recipe
from textus.training.schedule import DECAYS, factor


def set_rates(optimizer: torch.optim.Optimizer, recipe: Recipe, number: int) -> float:
    """Give the optimizer the learning rate and weight decay of step `number` and return the rate."""
    share = factor(
        recipe.schedule,
        number,
        recipe.steps,
        warmup_steps=recipe.warmup_steps,
        decay_fraction=recipe.decay_fraction,
        final=recipe.final_learning_rate,
    )
    rate = recipe.learning_rate * share
    decay = recipe.weight_decay * DECAYS[recipe.weight_decay_schedule]((number - 1) / recipe.steps, share)
    for group in optimizer.param_groups:
        group["lr"] = rate
        group["weight_decay"] = decay if group["role"] in DECAYED else 0.0
    return rate
