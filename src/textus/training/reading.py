"""What an objective asks of a model's shape."""

from __future__ import annotations

from dataclasses import replace

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
