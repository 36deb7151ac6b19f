from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.checkpoint.families import to_config, to_weights
from textus.errors import ConfigError
from textus.model.config import ModelConfig
from textus.model.leak import check_leaks
from textus.model.transformer import Transformer

ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
CONFIG = ModelConfig(
    vocab_size=50,
    context_length=32,
    num_layers=3,
    hidden_size=24,
    num_heads=3,
    num_kv_heads=3,
    head_size=8,
    intermediate_size=40,
    attention="bidirectional",
    prediction_offset=0,
    family="modernbert",
    norm_epsilon=1e-5,
)


def wide(config: ModelConfig) -> Transformer:
    """A model whose weights matter."""
    model = Transformer(config, seed=1).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6) if parameter.dim() > 1 else parameter.add_(torch.linspace(-0.5, 0.5, len(parameter)))
    return model


def theirs(model: Transformer) -> Any:
    transformers = pytest.importorskip("transformers")
    config = transformers.ModernBertConfig(**to_config(model.config, ENDS, "float32"))
    other = transformers.ModernBertForMaskedLM(config).eval()
    missing = other.load_state_dict(to_weights(model.state_dict(), model.config), strict=False)
    assert set(missing.missing_keys) <= {"decoder.weight"} and not missing.unexpected_keys
    other.tie_weights()
    return other


def test_parameters_are_counted_once() -> None:
    model = Transformer(CONFIG)
    assert sum(parameter.numel() for parameter in model.parameters()) == CONFIG.num_parameters()
    roles = model.parameter_roles()
    assert roles["embedding_norm.weight"] == roles["head_transform.norm.weight"] == "norm"
    assert roles["head_transform.dense.weight"] == roles["blocks.0.attention.query.weight"] == "matrix"
    assert "blocks.0.attention_norm.weight" not in roles and "blocks.1.attention_norm.weight" in roles


@pytest.mark.parametrize("training", [True, False])
def test_outputs_equal_those_of_transformers(training: bool) -> None:
    model = wide(CONFIG)
    tokens = torch.randint(50, (3, 20), generator=torch.Generator().manual_seed(2))
    with torch.set_grad_enabled(training):
        mine = model(tokens).logits
    with torch.inference_mode():
        other = theirs(model)(tokens).logits
    assert mine.std() > 0.1
    assert torch.allclose(mine, other, atol=1e-4)


@settings(max_examples=15)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.booleans())
def test_packed_documents_are_read_as_if_alone(lengths: list[int], training: bool) -> None:
    model = wide(dataclasses.replace(CONFIG, context_length=40))
    documents = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))[None]
    tokens = torch.randint(50, documents.shape, generator=torch.Generator().manual_seed(sum(lengths)))
    with torch.set_grad_enabled(training):
        packed = model(tokens, documents).logits[0].split(lengths)
        for part, alone in zip(packed, tokens[0].split(lengths), strict=True):
            assert torch.allclose(part, model(alone[None]).logits[0], atol=1e-4)


def test_documents_that_are_packed_equal_transformers_document_by_document() -> None:
    model = wide(CONFIG)
    lengths = [7, 1, 12]
    documents = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))[None]
    tokens = torch.randint(50, (1, 20), generator=torch.Generator().manual_seed(3))
    other = theirs(model)
    with torch.inference_mode():
        packed = model(tokens, documents).logits[0].split(lengths)
        for part, alone in zip(packed, tokens[0].split(lengths), strict=True):
            assert torch.allclose(part, other(alone[None]).logits[0], atol=1e-4)


def test_it_sees_both_sides_and_no_other_document() -> None:
    check_leaks(Transformer(CONFIG))


def test_half_precision_is_close() -> None:
    model, tokens = wide(CONFIG), torch.arange(20)[None]
    with torch.inference_mode():
        exact = model(tokens).logits
        with torch.autocast("cpu", torch.bfloat16):
            half = model(tokens).logits
    assert (half - exact).abs().mean() < 0.1 * exact.std()


@pytest.mark.parametrize(
    "changes", [{"num_kv_heads": 1}, {"attention": "causal"}, {"prediction_offset": 1}, {"hidden_size": 32}]
)
def test_shapes_that_it_cannot_have_are_refused(changes: Any) -> None:
    with pytest.raises(ConfigError, match="ModernBERT shape cannot have"):
        dataclasses.replace(CONFIG, **changes)
