"""Our config and weight names, and those that other libraries know: one pair of functions a family."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from textus.checkpoint import rope
from textus.config import build
from textus.errors import CheckpointError, ConfigError
from textus.model.config import ModelConfig

_LAYER = {
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "attention.query_norm": "self_attn.q_norm",
    "attention.key_norm": "self_attn.k_norm",
    "attention_norm": "input_layernorm",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
}
_OUTSIDE = {"embedding": "model.embed_tokens", "norm": "model.norm", "head": "lm_head"}
_CONFIG = {
    "vocab_size": "vocab_size",
    "context_length": "max_position_embeddings",
    "num_layers": "num_hidden_layers",
    "hidden_size": "hidden_size",
    "num_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
    "head_size": "head_dim",
    "intermediate_size": "intermediate_size",
    "norm_epsilon": "rms_norm_eps",
    "tied_embeddings": "tie_word_embeddings",
}
OURS = "textus"
"""Key in config.json of what only we know; other libraries carry it along."""
_ARCHITECTURE = "Qwen3ForCausalLM"


def to_qwen3(config: ModelConfig, end: int, dtype: str) -> dict[str, Any]:
    """Write a config as transformers' Qwen3 reads it; `end` is the token that begins and ends a document."""
    return {
        "architectures": [_ARCHITECTURE],
        "model_type": "qwen3",
        "dtype": dtype,
        **{theirs: getattr(config, ours) for ours, theirs in _CONFIG.items()},
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "rope_parameters": rope.to_theirs(config),
        # transformers 4, vLLM and llama.cpp's converter look here
        "rope_theta": config.rope_theta,
        **({} if config.rope_scaling == "none" else {"rope_scaling": rope.to_theirs(config)}),
        "use_sliding_window": False,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        OURS: {
            "attention": config.attention,
            "prediction_offset": config.prediction_offset,
            "reads_both_ways": config.reads_both_ways,
            "dropout": config.dropout,
        },
    }


def from_qwen3(values: Mapping[str, Any], path: Path) -> ModelConfig:
    """Read a Qwen3 config; raise `CheckpointError` naming `path` where it is another, or asks for what we do not do."""
    _supported(values, path)
    return shape_of(values, _CONFIG, rope.from_theirs(values), path)


def shape_of(values: Mapping[str, Any], names: Mapping[str, str], others: dict[str, Any], path: Path) -> ModelConfig:
    """Return the config whose fields stand in `values` under these `names`, with `others` and what only we know."""
    missing = [theirs for theirs in names.values() if theirs not in values]
    if missing:
        raise CheckpointError(
            f"{path}: lacks {', '.join(missing)}", hint="restore the config.json that belongs to the weights"
        )
    own = values.get(OURS) or {}
    try:
        fields = {ours: values[theirs] for ours, theirs in names.items()} | others | own
        return build(ModelConfig, fields, source=str(path))
    except ConfigError as error:
        raise CheckpointError(error.message, hint="restore the config.json that belongs to the weights") from None


def _supported(values: Mapping[str, Any], path: Path) -> None:
    architectures = values.get("architectures")
    if architectures != [_ARCHITECTURE]:
        raise CheckpointError(
            f"{path}: holds {architectures or values.get('model_type') or 'no architecture'}, not {_ARCHITECTURE}",
            hint="only models of the Qwen3 and ModernBERT shapes can be opened",
        )
    refused = {
        "hidden_act": values.get("hidden_act", "silu") != "silu",
        "attention_bias": bool(values.get("attention_bias")),
        "use_sliding_window": bool(values.get("use_sliding_window")),
        "quantization_config": "quantization_config" in values,
        **rope.refused(values),
    }
    names = [name for name, present in refused.items() if present]
    if names:
        raise CheckpointError(
            f"{path}: asks for {', '.join(names)}, which this model does not do",
            hint="open a model without it",
        )


def to_qwen3_weights(state: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Rename our weights; a tied head is not written twice."""
    return {
        theirs: state[ours].contiguous()
        for ours, theirs in _names(config).items()
        if not (ours == "head.weight" and config.tied_embeddings)
    }


def from_qwen3_weights(weights: Mapping[str, Tensor], config: ModelConfig, path: Path) -> dict[str, Tensor]:
    """Rename their weights; raise `CheckpointError` naming `path` where one is missing or not ours to read."""
    names = _names(config)
    if config.tied_embeddings:
        names["head.weight"] = names["embedding.weight"]
    # some writers store a tied head a second time
    return renamed(weights, names, {"lm_head.weight"} if config.tied_embeddings else set(), path)


def renamed(weights: Mapping[str, Tensor], names: Mapping[str, str], spare: set[str], path: Path) -> dict[str, Tensor]:
    """Return the weights by our names for theirs; none may be missing, and none over but those that are `spare`."""
    missing = sorted(set(names.values()) - set(weights))
    strange = sorted(set(weights) - set(names.values()) - spare)
    for words, found in (("lacks", missing), ("holds unknown", strange)):
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise CheckpointError(
                f"{path}: {words} {', '.join(found[:3])}{more}", hint="config.json and weights must belong together"
            )
    return {ours: weights[theirs] for ours, theirs in names.items()}


def _names(config: ModelConfig) -> dict[str, str]:
    """Return their name of each weight by ours."""
    layers = {
        f"blocks.{layer}.{ours}.weight": f"model.layers.{layer}.{theirs}.weight"
        for layer in range(config.num_layers)
        for ours, theirs in _LAYER.items()
    }
    return layers | {f"{ours}.weight": f"{theirs}.weight" for ours, theirs in _OUTSIDE.items()}


def weight_names(config: ModelConfig) -> dict[str, str]:
    """Return what other libraries call each of our weights, those of an adapter's base among them."""
    return _names(config)
