"""Tiny models of transformers' own classes, with weights so wide that a wrong name, order or number would show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

_DECODER = {
    "vocab_size": 60,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
}
_ENCODER = {name: value for name, value in _DECODER.items() if name != "num_key_value_heads"}
_LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 12,
}
_ENDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SHAPES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", "LlamaConfig", {**_DECODER, "rope_parameters": _LLAMA3, "attention_bias": True}),
    "mistral": ("MistralForCausalLM", "MistralConfig", {**_DECODER, "sliding_window": 6, "head_dim": 8}),
    "qwen2": (
        "Qwen2ForCausalLM",
        "Qwen2Config",
        {**_DECODER, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3ForCausalLM", "Qwen3Config", {**_DECODER, "head_dim": 8}),
    "gpt2": (
        "GPT2LMHeadModel",
        "GPT2Config",
        {"vocab_size": 60, "n_embd": 24, "n_layer": 3, "n_head": 4, "n_positions": 32, **_ENDS},
    ),
    "bert": ("BertForMaskedLM", "BertConfig", _ENCODER),
    "modernbert": (
        "ModernBertForMaskedLM",
        "ModernBertConfig",
        {**_ENCODER, "local_attention": 8, **_ENDS, "cls_token_id": 1, "sep_token_id": 2},
    ),
}
"""Class of the model, class of its config, and settings of which none is a default that hides mistakes."""


def made(family: str, **changes: Any) -> Any:
    """Return a model of transformers, in evaluation mode."""
    transformers = pytest.importorskip("transformers")
    kind, config, settings = SHAPES[family]
    torch.manual_seed(0)
    model = getattr(transformers, kind)(getattr(transformers, config)(**{**settings, **changes})).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn_like(parameter)
            parameter.mul_(6) if parameter.dim() > 1 else parameter.add_(0.3 * noise)
    return model


@pytest.fixture(scope="session")
def their_model() -> Callable[..., Any]:
    """Makes a model of transformers of a family."""
    return made


@pytest.fixture(scope="session", params=sorted(SHAPES))
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any, Path]:
    """A family, a model of transformers of it, and its directory."""
    model = made(request.param)
    directory = tmp_path_factory.mktemp(request.param)
    model.save_pretrained(directory)
    return request.param, model, directory
