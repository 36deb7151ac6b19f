"""What an objective asks of a model's shape."""

from __future__ import annotations

from dataclasses import replace

from textus.errors import ConfigError
from textus.model.config import ModelConfig
from textus.objectives.config import ObjectiveConfig
from textus.training.config import ModelSettings


def reading(shape: ModelConfig, model: ModelSettings, objective: ObjectiveConfig) -> ModelConfig:
    """Return the shape, made to read as the objective does: an encoder is a ModernBERT, everything else a Qwen3.

    Heads that were not set are made to share the whole width, as an encoder's must.
    """
    is_encoder = objective.attention == "bidirectional" and objective.offset == 0
    if is_encoder and model.num_heads == model.head_size == "auto":
        size = next(size for size in range(shape.head_size, 0, -2) if not shape.hidden_size % size or size == 2)
        heads = max(1, shape.hidden_size // size)
        keys = heads if model.num_kv_heads == "auto" else shape.num_kv_heads
        shape = replace(shape, head_size=size, num_heads=heads, num_kv_heads=keys)
    return replace(
        shape,
        attention=objective.attention,
        prediction_offset=objective.offset,
        family="modernbert" if is_encoder else "qwen3",
        reads_both_ways=objective.name == "hybrid",
    )


def continuing(start: ModelConfig, objective: ObjectiveConfig) -> ModelConfig:
    """Return the shape of a model that goes on learning; raise `ConfigError` where it reads in another way."""
    asked, there = (objective.attention, objective.offset), (start.attention, start.prediction_offset)
    if asked != there:
        raise ConfigError(
            f"objective.name={objective.name} needs attention={asked[0]} and prediction_offset={asked[1]}; the one in "
            f"training.start_from has {there[0]} and {there[1]}",
            hint="choose the objective that it was trained with, or a new model",
        )
    return replace(start, reads_both_ways=start.reads_both_ways or objective.name == "hybrid")
