"""What settings beside the shape add to a run's memory, or save of it."""

from __future__ import annotations

from textus.model.config import ModelConfig
from textus.training.recipe import Recipe


def state_bytes(config: ModelConfig, recipe: Recipe, *, cpu: bool) -> int:
    """Return the bytes of all that there is once for each parameter.

    A weight, its gradient, two moments, and their average where one is asked for, in float32. A CPU's memory also holds
    the copy from which a checkpoint is written while training goes on; a GPU's does not.
    """
    averages = recipe.ema != "off" or recipe.swa != "off"
    kept = 4 * (3 + averages)  # of them all, the gradient is in no checkpoint
    copied = kept if cpu and recipe.saving == "background" else 0
    parameters = config.num_parameters() + recipe.future_tokens * config.hidden_size**2
    return parameters * (4 + kept + copied)


def block_bytes(config: ModelConfig, recipe: Recipe, layer: float, *, cpu: bool) -> float:
    """Return the bytes a token that the blocks hold for the backward pass, where one of them holds `layer`.

    A block that is computed again holds its two inputs, and one block at a time all that it computes.
    """
    if recipe.recompute == "off":
        return config.num_layers * layer
    narrow = 4 if recipe.precision == "fp32" else 2
    inputs = config.hidden_size * (narrow + (4 if cpu else narrow))
    return config.num_layers * inputs + layer
