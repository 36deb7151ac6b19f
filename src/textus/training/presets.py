"""What is learnt best with, by measurement: the optimizer, its rate, and what holds it back from learning by heart.

docs/planning.md has the rules, benchmarks/RESULTS.md the sweeps that they come from.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

from textus.model.config import ModelConfig
from textus.objectives.config import ObjectiveConfig
from textus.training.machine import Machine

Optimizer = Literal["adamw", "muon"]
RATES: dict[Optimizer, float] = {"adamw": 4e-3, "muon": 4.9e-3}
"""Peak rate at width 128."""
CONTINUED = 0.1
"""What is left of that rate where a model goes on from another's weights."""
FEW_TOKENS = 3_000_000
"""A masked run that reads fewer is asked for more of them."""
SHORT_RATES = 0.5, 0.3
FEW_EPOCHS = 3.0
"""From so many passes over the text on, the large models that a GPU trains are held back harder."""


def optimizer(config: ModelConfig, batch_tokens: int, machine: Machine) -> Optimizer:
    """Return the optimizer that comes furthest in the same time.

    Muon's products take about `5 width / batch_tokens` of the time of all others; on a CPU, where batches are small,
    that can be more than it gains.
    """
    return "adamw" if machine.device != "cuda" and 5 * config.hidden_size > batch_tokens else "muon"


def learning_rate(name: Optimizer, config: ModelConfig, *, continued: bool = False) -> float:
    """Return the peak rate, which falls as the root of the width; `continued` where weights are not random.

    >>> from textus.training.presets import RATES
    >>> shape = dict(vocab_size=9, context_length=8, num_layers=1, num_heads=12, num_kv_heads=12, head_size=64)
    >>> learning_rate("muon", ModelConfig(**shape, hidden_size=768, intermediate_size=2048))
    0.002
    """
    return round(RATES[name] * math.sqrt(128 / config.hidden_size) * (CONTINUED if continued else 1.0), 6)


def asking(objective: ObjectiveConfig, tokens: int) -> ObjectiveConfig:
    """Return the objective with its mask rates chosen for a run of so many tokens, where they were left to us."""
    short = objective.name == "masked" and tokens < FEW_TOKENS
    free = objective.mask_rate == objective.final_mask_rate == "auto"
    first, last = SHORT_RATES if short and free else objective.rates
    return replace(objective, mask_rate=first, final_mask_rate=last)


def weight_decay(machine: Machine, epochs: float) -> float:
    """Return the weight decay for so many passes over the text."""
    return 0.5 if machine.device == "cuda" and epochs >= FEW_EPOCHS else 0.1


def dropout(machine: Machine, epochs: float) -> float:
    """Return the dropout that so many passes over the text call for."""
    if machine.device == "cuda":
        return 0.2 if epochs >= FEW_EPOCHS else 0.0
    return 0.0 if epochs <= 5 else 0.1 if epochs <= 8 else 0.2
