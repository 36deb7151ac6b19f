"""Go on from a model: its shape, for another context."""

from __future__ import annotations

from typing import Any

from textus.errors import ConfigError
from textus.model.config import LEARNT_FIRST, ModelConfig, Scaling
from textus.model.family import TRAITS
from textus.training.config import ModelSettings

KEPT = (
    "num_layers", "hidden_size", "num_heads", "num_kv_heads", "head_size", "intermediate_size", "tied_embeddings",
)  # fmt: skip
"""What weights are cut to, and no setting can change."""


def extended(start: ModelConfig, settings: ModelSettings, context_length: int) -> ModelConfig:
    """Return the shape of a model that begins with the weights of `start` and sees `context_length` tokens.

    Raises `ConfigError` for a setting that these weights cannot follow.
    """
    for name in KEPT:
        wanted, has = getattr(settings, name), getattr(start, name)
        if wanted not in ("auto", has):
            raise ConfigError(
                f"model.{name} is {wanted}, and the model that training starts from has {has}",
                hint=f"leave model.{name} on auto: weights keep their shape",
            )
    if TRAITS[start.family].positions == "learned" and context_length > start.context_length:
        raise ConfigError(
            f"model.context_length is {context_length}, and the model that training starts from has learnt "
            f"{start.context_length} positions, each by itself",
            hint=f"set model.context_length to {start.context_length} or less; positions beyond it mean nothing to it",
        )
    changes: dict[str, Any] = {"context_length": context_length, **_positions(start, settings, context_length)}
    if settings.rope_theta != "auto":
        changes["rope_theta"] = settings.rope_theta
    if settings.dropout != "auto":
        changes["dropout"] = settings.dropout
    return ModelConfig(**{**vars(start), **changes})


def learnt_context(config: ModelConfig) -> int:
    """Return the context that a model's weights learnt first, before any scaling.

    >>> shape = dict(vocab_size=9, num_layers=1, hidden_size=8, num_heads=1, num_kv_heads=1, head_size=8)
    >>> long = ModelConfig(**shape, intermediate_size=8, context_length=256, rope_scaling="linear", rope_factor=4)
    >>> learnt_context(long)
    64
    """
    if config.rope_scaling in LEARNT_FIRST:
        return config.rope_original_context
    return max(1, round(config.context_length / config.rope_factor))


def _positions(start: ModelConfig, settings: ModelSettings, context_length: int) -> dict[str, Any]:
    """Choose how positions are stretched: as they were, or as a longer context needs it."""
    kind = _kind(start, settings, context_length)
    if kind == start.rope_scaling and context_length <= start.context_length:
        return {}
    first = learnt_context(start)
    return {
        "rope_scaling": kind,
        "rope_factor": max(1.0, context_length / first) if kind != "none" else 1.0,
        "rope_original_context": first if kind in LEARNT_FIRST else 0,
    }


def _kind(start: ModelConfig, settings: ModelSettings, context_length: int) -> Scaling:
    if settings.rope_scaling != "auto":
        return settings.rope_scaling
    grows = context_length > start.context_length
    # who sets a larger base has stretched the wavelengths already
    return "yarn" if start.rope_scaling == "none" and grows and settings.rope_theta == "auto" else start.rope_scaling
