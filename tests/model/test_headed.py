"""A model with a head: its parts, its roles, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from textus.errors import ConfigError
from textus.model.config import ModelConfig
from textus.model.headed import Headed, TaskConfig
from textus.model.hidden import logarithms
from textus.model.pooling import pool
from textus.model.transformer import Transformer

SHAPE = {
    "vocab_size": 40,
    "context_length": 16,
    "num_layers": 2,
    "hidden_size": 16,
    "num_heads": 2,
    "num_kv_heads": 2,
    "head_size": 8,
    "intermediate_size": 24,
}
FAMILIES = {
    "modernbert": ModelConfig(**SHAPE, attention="bidirectional", prediction_offset=0, family="modernbert"),
    "qwen3": ModelConfig(**SHAPE, tied_embeddings=False, reads_both_ways=True),
}
LABELS = ("a", "b", "c")


def task(kind: str, **changes: object) -> TaskConfig:
    return TaskConfig(kind, () if kind == "embed" else LABELS, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["classify", "tag", "embed"])
def test_every_parameter_has_a_role_and_a_gradient(family, kind):
    model = Headed(FAMILIES[family], task(kind), seed=1)
    roles = model.parameter_roles()
    assert roles.keys() == dict(model.named_parameters()).keys()
    assert roles.get("classifier.weight") == ("head" if kind != "embed" else None)
    assert roles.get("classifier_bias.weight", "norm") == "norm"
    pooled = model.pooled(torch.tensor([[1, 2, 3], [4, 5, 6]]))
    (pooled.sum() if kind == "embed" else model.logits(pooled).square().sum()).backward()
    # what has no gradient has no state in the optimizer, and could not be resumed
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_trained_model_keeps_its_states_under_a_new_head(family):
    base = Transformer(FAMILIES[family], seed=5).eval()
    model = Headed.over(base, task("classify"), seed=2, dropout=0.3).eval()
    tokens, documents = torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([[0, 0, 0], [0, 0, -1]])
    states = base.encode(tokens, documents, attention="bidirectional")
    assert torch.equal(model.pooled(tokens, documents), pool(states, documents >= 0, "mean"))
    assert model.config.dropout == 0.3 and model.config.tied_embeddings
    other = Headed.over(base, task("classify"), seed=3, dropout=0.3)
    assert not torch.equal(model.get_parameter("classifier.weight"), other.get_parameter("classifier.weight"))


def test_padding_changes_nothing():
    model = Headed(FAMILIES["modernbert"], task("classify"), seed=1).eval()
    alone = model.logits(model.pooled(torch.tensor([[4, 5]])))
    tokens, documents = torch.tensor([[1, 2, 3], [4, 5, 9]]), torch.tensor([[0, 0, 0], [0, 0, -1]])
    assert torch.allclose(model.logits(model.pooled(tokens, documents))[1:], alone, atol=1e-6)


def test_it_predicts_no_tokens():
    model = Headed(FAMILIES["modernbert"], task("tag"))
    tokens = torch.tensor([[1, 2]])
    for ask in (
        lambda: model(tokens),
        lambda: logarithms(model, torch.zeros(1, 16)),
        lambda: model.head.weight,
    ):
        with pytest.raises(ConfigError, match="predicts no tokens"):
            ask()


def test_weights_of_half_the_width_answer_nearly_the_same():
    """Of models whose states are as their weights; encoders compute in float32."""
    model = Headed(FAMILIES["qwen3"], task("classify"), seed=1).eval()
    tokens = torch.tensor([[1, 2, 3], [4, 5, 6]])
    wanted = model.logits(model.pooled(tokens))
    half = model.to(torch.bfloat16)
    found = half.logits(half.pooled(tokens))
    assert found.dtype == torch.float32
    assert (found - wanted).abs().max() < 0.05 * wanted.abs().max() + 1e-3
