"""GPT-2, whose matrices are written with inputs as rows, and queries, keys and values as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textus.checkpoint.layout import Layout
from textus.model.config import ModelConfig

_NOTES = frozenset({
    "n_inner", "n_ctx", "reorder_and_upcast_attn", "summary_activation", "summary_first_dropout",
    "summary_proj_to_labels", "summary_type", "summary_use_proj",
})  # fmt: skip
"""Keys that change nothing."""


def _read(values: Mapping[str, Any]) -> dict[str, Any]:
    heads, size = values.get("n_head"), values.get("n_embd")
    found = {"num_kv_heads": heads}
    if isinstance(heads, int) and isinstance(size, int) and heads > 0:
        found |= {"head_size": size // heads, "intermediate_size": values.get("n_inner", 4 * size)}
    return found


def _write(config: ModelConfig) -> dict[str, Any]:
    return {"n_inner": config.intermediate_size, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}


GPT2 = Layout(
    family="gpt2",
    architectures=("GPT2LMHeadModel",),
    model_type="gpt2",
    fields={
        "vocab_size": "vocab_size",
        "context_length": "n_positions",
        "num_layers": "n_layer",
        "hidden_size": "n_embd",
        "num_heads": "n_head",
        "norm_epsilon": "layer_norm_epsilon",
        "tied_embeddings": "tie_word_embeddings",
    },
    always={
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
    },
    defaults={"tie_word_embeddings": True, "layer_norm_epsilon": 1e-5},
    read=_read,
    write=_write,
    training=frozenset({"resid_pdrop", "embd_pdrop", "attn_pdrop"}),
    # the summary is a head that language models do not have
    notes=_NOTES,
    layers="transformer.h.",
    layer={
        "ln_1": ("attention_norm",),
        "attn.c_attn": ("attention.query", "attention.key", "attention.value"),
        "attn.c_proj": ("attention.output",),
        "ln_2": ("feed_forward_norm",),
        "mlp.c_fc": ("feed_forward.up",),
        "mlp.c_proj": ("feed_forward.down",),
    },
    outside={
        "transformer.wte": ("embedding",),
        "transformer.wpe": ("positions",),
        "transformer.ln_f": ("norm",),
        "lm_head": ("head",),
    },
    base="transformer.",
    is_transposed=True,
    # masks that older versions wrote among the weights
    spare=r"transformer\.h\.\d+\.attn\.(bias|masked_bias)",
)
