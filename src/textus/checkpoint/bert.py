"""BERT, of which the pooled state and the head that judges whether sentences follow each other are left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textus.checkpoint.layout import Layout

_NOTES = frozenset({
    "directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
    "pooler_size_per_head", "pooler_type",
})  # fmt: skip
"""Keys that change nothing."""


def _read(values: Mapping[str, Any]) -> dict[str, Any]:
    heads, size = values.get("num_attention_heads"), values.get("hidden_size")
    found = {"num_kv_heads": heads, "attention": "bidirectional", "prediction_offset": 0, "head_bias": True}
    return found | ({"head_size": size // heads} if isinstance(heads, int) and isinstance(size, int) and heads else {})


BERT = Layout(
    family="bert",
    architectures=("BertForMaskedLM", "BertForPreTraining"),
    model_type="bert",
    fields={
        "vocab_size": "vocab_size",
        "context_length": "max_position_embeddings",
        "num_layers": "num_hidden_layers",
        "hidden_size": "hidden_size",
        "num_heads": "num_attention_heads",
        "intermediate_size": "intermediate_size",
        "norm_epsilon": "layer_norm_eps",
        "tied_embeddings": "tie_word_embeddings",
        "token_types": "type_vocab_size",
    },
    always={
        "hidden_act": ("gelu",),
        "position_embedding_type": ("absolute",),
        "is_decoder": (False,),
        "add_cross_attention": (False,),
        "tie_word_embeddings": (True,),
    },
    defaults={"tie_word_embeddings": True, "layer_norm_eps": 1e-12},
    read=_read,
    write=lambda config: {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    training=frozenset({"hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"}),
    notes=_NOTES,
    layers="bert.encoder.layer.",
    layer={
        "attention.self.query": ("attention.query",),
        "attention.self.key": ("attention.key",),
        "attention.self.value": ("attention.value",),
        "attention.output.dense": ("attention.output",),
        "attention.output.LayerNorm": ("attention_norm",),
        "intermediate.dense": ("feed_forward.up",),
        "output.dense": ("feed_forward.down",),
        "output.LayerNorm": ("feed_forward_norm",),
    },
    outside={
        "bert.embeddings.word_embeddings": ("embedding",),
        "bert.embeddings.position_embeddings": ("positions",),
        "bert.embeddings.token_type_embeddings": ("token_types",),
        "bert.embeddings.LayerNorm": ("embedding_norm",),
        "cls.predictions.transform.dense": ("head_transform.dense",),
        "cls.predictions.transform.LayerNorm": ("head_transform.norm",),
        "cls.predictions.decoder": ("head",),
    },
    base="bert.",
    renamed={"cls.predictions.decoder.bias": "cls.predictions.bias"},
    # as the first BERT was converted, and where one of two equal biases was written
    aliases={r"\.gamma$": ".weight", r"\.beta$": ".bias", r"^cls\.predictions\.decoder\.bias$": "cls.predictions.bias"},
    spare=r"bert\.pooler\..*|cls\.seq_relationship\..*",
)
