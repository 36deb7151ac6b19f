"""Llama, and those that are written down like it: Mistral (and SmolLM, which is a Llama), Qwen2, Qwen3 (our own)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textus.checkpoint import rope
from textus.checkpoint.layout import Layout
from textus.model.config import ModelConfig

_FIELDS = {
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
_BIASES = {"attention_biases": "attention_bias"}
_LAYER: dict[str, tuple[str, ...]] = {
    "self_attn.q_proj": ("attention.query",),
    "self_attn.k_proj": ("attention.key",),
    "self_attn.v_proj": ("attention.value",),
    "self_attn.o_proj": ("attention.output",),
    "self_attn.q_norm": ("attention.query_norm",),
    "self_attn.k_norm": ("attention.key_norm",),
    "input_layernorm": ("attention_norm",),
    "post_attention_layernorm": ("feed_forward_norm",),
    "mlp.gate_proj": ("feed_forward.gate",),
    "mlp.up_proj": ("feed_forward.up",),
    "mlp.down_proj": ("feed_forward.down",),
}
_OUTSIDE: dict[str, tuple[str, ...]] = {
    "model.embed_tokens": ("embedding",),
    "model.norm": ("norm",),
    "lm_head": ("head",),
}
_WEIGHTS: dict[str, Any] = {"layers": "model.layers.", "layer": _LAYER, "outside": _OUTSIDE, "base": "model."}
_TRAINING = frozenset({"attention_dropout"})
_POSITIONS = frozenset({"rope_theta", "rope_scaling", "rope_parameters"})
_OLDER = {"tie_word_embeddings": False, "rms_norm_eps": 1e-6, "rope_theta": 10_000.0}
"""What these mean where a config does not say it: that of a Llama, a Mistral or a Qwen2."""


def _positions(values: Mapping[str, Any]) -> dict[str, Any]:
    found = rope.from_theirs(values)
    return {name: value for name, value in found.items() if value is not None}


def _write(config: ModelConfig) -> dict[str, Any]:
    return {
        "attention_dropout": 0.0,
        "rope_parameters": rope.to_theirs(config),
        # transformers 4, vLLM and llama.cpp's converter look here
        "rope_theta": config.rope_theta,
        **({} if config.rope_scaling == "none" else {"rope_scaling": rope.to_theirs(config)}),
    }


def _heads(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the number of heads says where a config says no more."""
    heads, size = values.get("num_attention_heads"), values.get("hidden_size")
    found: dict[str, Any] = {"num_kv_heads": values.get("num_key_value_heads", heads)}
    if isinstance(heads, int) and isinstance(size, int) and heads > 0:
        found["head_size"] = values.get("head_dim", size // heads)
    return found


_BY_HEADS = {name: theirs for name, theirs in _FIELDS.items() if name not in ("num_kv_heads", "head_size")}


def _write_heads(config: ModelConfig) -> dict[str, Any]:
    return {"num_key_value_heads": config.num_kv_heads, "head_dim": config.head_size, **_write(config)}


QWEN3 = Layout(
    family="qwen3",
    architectures=("Qwen3ForCausalLM",),
    model_type="qwen3",
    fields={**_FIELDS, **_BIASES},
    always={"hidden_act": ("silu",), "use_sliding_window": (False,)},
    defaults={"attention_bias": False},
    read=rope.from_theirs,
    write=_write,
    refused=rope.refused,
    training=_TRAINING,
    # without a window these say nothing
    notes=_POSITIONS | {"sliding_window", "max_window_layers", "layer_types"},
    **_WEIGHTS,
)
_NOTES = _POSITIONS | {"num_key_value_heads", "head_dim"}
LLAMA = Layout(
    family="llama",
    architectures=("LlamaForCausalLM",),
    model_type="llama",
    fields={**_BY_HEADS, **_BIASES},
    always={
        "hidden_act": ("silu", "swish"),
        "mlp_bias": (False,),
        "rope_interleaved": (False,),
    },
    defaults={**_OLDER, "attention_bias": False},
    read=lambda values: {**_positions(values), **_heads(values)},
    write=_write_heads,
    refused=rope.refused,
    training=_TRAINING,
    notes=_NOTES,
    **_WEIGHTS,
)


def _mistral(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"window": values.get("sliding_window", 0), **_positions(values), **_heads(values)}


MISTRAL = Layout(
    family="mistral",
    architectures=("MistralForCausalLM",),
    model_type="mistral",
    fields=_BY_HEADS,
    always={"hidden_act": ("silu", "swish"), "attention_bias": (False,)},
    defaults=_OLDER,
    read=_mistral,
    write=lambda config: {"sliding_window": config.window or None, **_write_heads(config)},
    refused=rope.refused,
    training=_TRAINING,
    notes=_NOTES | {"sliding_window"},
    **_WEIGHTS,
)


def _kinds(values: Mapping[str, Any]) -> list[str]:
    """Return which layers of a Qwen2 see a part of the context only."""
    if not values.get("use_sliding_window"):
        return []
    layers, first = values.get("num_hidden_layers"), values.get("max_window_layers", 28)
    if not isinstance(layers, int) or not isinstance(first, int):
        return []
    usual = ["sliding_attention" if layer >= first else "full_attention" for layer in range(layers)]
    return list(values.get("layer_types", usual))


def _first_local(kinds: list[str]) -> int:
    return kinds.index("sliding_attention") if "sliding_attention" in kinds else len(kinds)


def _qwen2(values: Mapping[str, Any]) -> dict[str, Any]:
    kinds = _kinds(values)
    has_window = "sliding_attention" in kinds
    window = {"window": values.get("sliding_window", 4096), "first_local": _first_local(kinds)} if has_window else {}
    return {**window, **_positions(values), **_heads(values)}


def _refused_of_qwen2(values: Mapping[str, Any]) -> dict[str, bool]:
    kinds = _kinds(values)
    mixed = "full_attention" in kinds[_first_local(kinds) :] or not {*kinds} <= {"full_attention", "sliding_attention"}
    return {"layer_types that alternate": mixed, **rope.refused(values)}


def _write_qwen2(config: ModelConfig) -> dict[str, Any]:
    kinds = ["sliding_attention" if config.is_local(layer) else "full_attention" for layer in range(config.num_layers)]
    return {
        "use_sliding_window": bool(config.window),
        "sliding_window": config.window or None,
        "max_window_layers": _first_local(kinds),
        "layer_types": kinds,
        **_write_heads(config),
    }


QWEN2 = Layout(
    family="qwen2",
    architectures=("Qwen2ForCausalLM",),
    model_type="qwen2",
    fields=_BY_HEADS,
    always={"hidden_act": ("silu", "swish")},
    defaults=_OLDER,
    read=_qwen2,
    write=_write_qwen2,
    refused=_refused_of_qwen2,
    training=_TRAINING,
    notes=_NOTES | {"use_sliding_window", "sliding_window", "max_window_layers", "layer_types"},
    **_WEIGHTS,
)
