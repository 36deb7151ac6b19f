"""Our config and weight names, and those of transformers' ModernBERT: all layers see the whole context."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textus.checkpoint import rope
from textus.checkpoint.families import OURS, renamed, shape_of
from textus.errors import CheckpointError
from textus.model.config import ModelConfig

ARCHITECTURE = "ModernBertForMaskedLM"
_CONFIG = {
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
    "num_layers": "num_hidden_layers",
    "hidden_size": "hidden_size",
    "num_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "norm_epsilon": "norm_eps",
    "tied_embeddings": "tie_word_embeddings",
}
_FIXED = {
    "hidden_activation": "gelu",
    "classifier_activation": "gelu",
    "attention_bias": False,
    "mlp_bias": False,
    "norm_bias": False,
    "classifier_bias": False,
    "decoder_bias": False,
}
"""What this model always does."""
_LAYER: dict[str, tuple[str, ...]] = {
    "attn.Wqkv": ("attention.query", "attention.key", "attention.value"),
    "attn.Wo": ("attention.output",),
    "attn_norm": ("attention_norm",),
    "mlp.Wi": ("feed_forward.gate", "feed_forward.up"),
    "mlp.Wo": ("feed_forward.down",),
    "mlp_norm": ("feed_forward_norm",),
}
"""Our weights that are one of theirs, laid below each other."""
_OUTSIDE: dict[str, tuple[str, ...]] = {
    "model.embeddings.tok_embeddings": ("embedding",),
    "model.embeddings.norm": ("embedding_norm",),
    "model.final_norm": ("norm",),
    "head.dense": ("head_transform.dense",),
    "head.norm": ("head_transform.norm",),
    "decoder": ("head",),
}


def to_modernbert(config: ModelConfig, end: int, dtype: str) -> dict[str, Any]:
    """Write a config as transformers' ModernBERT reads it; `end` is the token that begins and ends a document."""
    turned = rope.to_theirs(config)
    return {
        "architectures": [ARCHITECTURE],
        "model_type": "modernbert",
        "dtype": dtype,
        **{theirs: getattr(config, ours) for ours, theirs in _CONFIG.items()},
        **_FIXED,
        "layer_types": ["full_attention"] * config.num_layers,
        "rope_parameters": {"full_attention": turned, "sliding_attention": turned},
        # transformers 4 looks here
        "global_attn_every_n_layers": 1,
        "global_rope_theta": config.rope_theta,
        "local_rope_theta": config.rope_theta,
        "attention_dropout": 0.0,
        "classifier_pooling": "mean",
        **{f"{name}_token_id": end for name in ("bos", "eos", "pad", "cls", "sep")},
        OURS: {"dropout": config.dropout},
    }


def from_modernbert(values: Mapping[str, Any], path: Path) -> ModelConfig:
    """Read a ModernBERT config; raise `CheckpointError` naming `path` where it asks for what we do not do."""
    # of its positions, what holds for layers that see the whole context, spelt as a Qwen3 spells it
    turned = (values.get("rope_parameters") or {}).get("full_attention") or {}
    theta = turned.get("rope_theta", values.get("global_rope_theta", 160_000.0))
    context = values.get("max_position_embeddings")
    positions = {"rope_parameters": {**turned, "rope_theta": theta}, "max_position_embeddings": context}
    kinds = values.get("layer_types") or [
        "sliding" if layer % values.get("global_attn_every_n_layers", 3) else "full_attention"
        for layer in range(values.get("num_hidden_layers", 0))
    ]
    refused = {
        **{name: values.get(name, name == "decoder_bias" or _FIXED[name]) != _FIXED[name] for name in _FIXED},
        "layers that see a part of the context": any(kind != "full_attention" for kind in kinds),
        "quantization_config": "quantization_config" in values,
        **rope.refused(positions),
    }
    names = [name for name, present in refused.items() if present]
    if names:
        raise CheckpointError(
            f"{path}: asks for {', '.join(names)}, which this model does not do", hint="open a model without it"
        )
    heads = values.get("num_attention_heads") or 1
    return shape_of(
        values,
        {**_CONFIG, "num_kv_heads": "num_attention_heads"},
        {
            **rope.from_theirs(positions),
            "head_size": values.get("hidden_size", 0) // heads,
            "attention": "bidirectional",
            "prediction_offset": 0,
            "family": "modernbert",
        },
        path,
    )


def to_modernbert_weights(
    state: Mapping[str, Tensor], config: ModelConfig, *, body_only: bool = False
) -> dict[str, Tensor]:
    """Rename and join our weights; a tied head is not written twice. `body_only` leaves out what reads the states."""
    return {
        theirs: torch.cat([state[name] for name in ours]) if len(ours) > 1 else state[ours[0]].contiguous()
        for theirs, ours in _names(config, body_only).items()
        if not (theirs == "decoder.weight" and config.tied_embeddings)
    }


def from_modernbert_weights(
    weights: Mapping[str, Tensor], config: ModelConfig, path: Path, *, body_only: bool = False
) -> dict[str, Tensor]:
    """Rename and take apart theirs; raise `CheckpointError` naming `path` where one is missing or not ours to read."""
    names = _names(config, body_only)
    if config.tied_embeddings:
        names.pop("decoder.weight", None)
    found = renamed(weights, {theirs: theirs for theirs in names}, {"decoder.weight"} & set(weights), path)
    state: dict[str, Tensor] = {}
    for theirs, ours in names.items():
        state |= zip(ours, found[theirs].chunk(len(ours)), strict=True)
    if config.tied_embeddings:
        state["head.weight"] = state["embedding.weight"]
    return state


def _names(config: ModelConfig, body_only: bool) -> dict[str, tuple[str, ...]]:
    """Return the names of ours that make up each of theirs."""
    names = {theirs: ours for theirs, ours in _OUTSIDE.items() if not body_only or theirs.startswith("model.")}
    for layer in range(config.num_layers):
        names |= {
            f"model.layers.{layer}.{theirs}": tuple(f"blocks.{layer}.{name}" for name in ours)
            for theirs, ours in _LAYER.items()
            if layer or theirs != "attn_norm"
        }
    return {f"{theirs}.weight": tuple(f"{name}.weight" for name in ours) for theirs, ours in names.items()}
