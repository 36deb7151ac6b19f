"""ModernBERT: ours, whose layers all see the whole context, and others', of which most see only what is near."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textus.checkpoint import rope
from textus.checkpoint.layout import Layout
from textus.model.config import ModelConfig

_FULL, _LOCAL = "full_attention", "sliding_attention"
_GLOBAL_THETA, _LOCAL_THETA = 160_000.0, 10_000.0
_NOTES = frozenset({
    "layer_types", "rope_parameters", "rope_scaling", "global_attn_every_n_layers", "global_rope_theta",
    "local_rope_theta", "local_attention", "decoder_bias", "classifier_pooling", "deterministic_flash_attn",
    "sparse_prediction", "sparse_pred_ignore_index", "reference_compile", "position_embedding_type",
    "layer_norm_eps", "repad_logits_with_grad",
})  # fmt: skip
"""Keys that change nothing."""


def _kinds(values: Mapping[str, Any]) -> list[str]:
    """Return what each layer sees."""
    every, layers = values.get("global_attn_every_n_layers", 3), values.get("num_hidden_layers")
    if "layer_types" in values:
        return list(values["layer_types"])
    if not isinstance(layers, int) or not isinstance(every, int) or every < 1:
        return []
    return [_LOCAL if layer % every else _FULL for layer in range(layers)]


def _every(kinds: list[str]) -> int:
    """Return after how many layers one sees all again, from the first on; 1 where all do."""
    return next((layer for layer, kind in enumerate(kinds) if layer and kind == _FULL), max(1, len(kinds)))


def _turned(values: Mapping[str, Any], kind: str, key: str, usual: float) -> dict[str, Any]:
    """Return the positions of a kind of layer, spelt as a Qwen3 spells them."""
    turned = dict((values.get("rope_parameters") or {}).get(kind) or values.get("rope_scaling") or {})
    turned.setdefault("rope_theta", values.get(key, usual))
    return {"rope_parameters": turned, "max_position_embeddings": values.get("max_position_embeddings")}


def _globally(values: Mapping[str, Any]) -> dict[str, Any]:
    return _turned(values, _FULL, "global_rope_theta", _GLOBAL_THETA)


def _locally(values: Mapping[str, Any]) -> dict[str, Any]:
    return _turned(values, _LOCAL, "local_rope_theta", _LOCAL_THETA)


def _read(values: Mapping[str, Any]) -> dict[str, Any]:
    heads, size, kinds = values.get("num_attention_heads"), values.get("hidden_size"), _kinds(values)
    found = {
        **rope.from_theirs(_globally(values)),
        "num_kv_heads": heads,
        "attention": "bidirectional",
        "prediction_offset": 0,
        "head_bias": values.get("decoder_bias", True),
    }
    if isinstance(heads, int) and isinstance(size, int) and heads:
        found["head_size"] = size // heads
    if _LOCAL in kinds:
        found["window"] = values.get("local_attention", 128)
        found["global_every"] = _every(kinds)
        found["local_rope_theta"] = _locally(values)["rope_parameters"]["rope_theta"]
    return found


def _refused(values: Mapping[str, Any]) -> dict[str, bool]:
    kinds, local = _kinds(values), _locally(values)["rope_parameters"]
    every = _every(kinds)
    regular = all(kind == (_LOCAL if layer % every else _FULL) for layer, kind in enumerate(kinds))
    found = {
        "layer_types of no regular order": not regular,
        **rope.refused(_globally(values)),
    }
    if _LOCAL in kinds:
        kind = local.get("rope_type", local.get("type", "default"))
        found[f"rope_type={kind} in layers that see a part of the context"] = kind != "default"
    return found


def _write(config: ModelConfig) -> dict[str, Any]:
    turned = rope.to_theirs(config)
    near = {"rope_type": "default", "rope_theta": config.local_rope_theta} if config.window else turned
    return {
        "layer_types": [_LOCAL if config.is_local(layer) else _FULL for layer in range(config.num_layers)],
        "rope_parameters": {_FULL: turned, _LOCAL: near},
        # transformers 4 looks here
        "global_attn_every_n_layers": config.global_every if config.window else 1,
        "global_rope_theta": config.rope_theta,
        "local_rope_theta": near["rope_theta"],
        **({"local_attention": config.window} if config.window else {}),
        "decoder_bias": config.head_bias,
        "attention_dropout": 0.0,
        "classifier_pooling": "mean",
    }


MODERNBERT = Layout(
    family="modernbert",
    architectures=("ModernBertForMaskedLM",),
    model_type="modernbert",
    fields={
        "vocab_size": "vocab_size",
        "context_length": "max_position_embeddings",
        "num_layers": "num_hidden_layers",
        "hidden_size": "hidden_size",
        "num_heads": "num_attention_heads",
        "intermediate_size": "intermediate_size",
        "norm_epsilon": "norm_eps",
        "tied_embeddings": "tie_word_embeddings",
    },
    always={
        "hidden_activation": ("gelu",),
        "classifier_activation": ("gelu",),
        "attention_bias": (False,),
        "mlp_bias": (False,),
        "norm_bias": (False,),
        "classifier_bias": (False,),
    },
    defaults={"tie_word_embeddings": True, "norm_eps": 1e-5},
    read=_read,
    write=_write,
    refused=_refused,
    training=frozenset({"attention_dropout", "mlp_dropout", "embedding_dropout", "classifier_dropout"}),
    notes=_NOTES,
    layers="model.layers.",
    layer={
        "attn.Wqkv": ("attention.query", "attention.key", "attention.value"),
        "attn.Wo": ("attention.output",),
        "attn_norm": ("attention_norm",),
        "mlp.Wi": ("feed_forward.gate", "feed_forward.up"),
        "mlp.Wo": ("feed_forward.down",),
        "mlp_norm": ("feed_forward_norm",),
    },
    outside={
        "model.embeddings.tok_embeddings": ("embedding",),
        "model.embeddings.norm": ("embedding_norm",),
        "model.final_norm": ("norm",),
        "head.dense": ("head_transform.dense",),
        "head.norm": ("head_transform.norm",),
        "decoder": ("head",),
    },
    base="model.",
)
