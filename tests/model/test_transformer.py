import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.model.config import ModelConfig
from textus.model.precision import autocast
from textus.model.transformer import Transformer

CONFIG = ModelConfig(
    vocab_size=50,
    context_length=32,
    num_layers=2,
    hidden_size=32,
    num_heads=4,
    num_kv_heads=2,
    head_size=8,
    intermediate_size=48,
)


def _tokens(rows=2, time=12, seed=0):
    return torch.randint(50, (rows, time), generator=torch.Generator().manual_seed(seed))


def test_shapes_and_parts():
    model = Transformer(CONFIG)
    output = model(_tokens())
    assert output.logits.shape == (2, 12, 50) and output.hidden.shape == (2, 12, 32) and output.cache is None
    assert torch.equal(model.head(model.encode(_tokens())), output.logits)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.sampled_from(["causal", "bidirectional"]), st.booleans())
def test_packed_documents_are_read_as_if_alone(lengths, attention, training):
    model = Transformer(dataclasses.replace(CONFIG, attention=attention, context_length=40))
    model.requires_grad_(training)
    tokens = _tokens(1, sum(lengths))
    documents = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))[None]
    packed = model(tokens, documents).logits
    alone = torch.cat([model(part).logits for part in tokens.split(lengths, 1)], 1)
    torch.testing.assert_close(packed, alone, rtol=1e-4, atol=1e-5)


def test_training_and_evaluation_paths_agree():
    model = Transformer(CONFIG)
    with torch.inference_mode():
        fused = model(_tokens()).logits
    torch.testing.assert_close(model(_tokens()).logits, fused, rtol=1e-4, atol=1e-5)


def test_first_weights_depend_on_the_seed_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, same, other = Transformer(CONFIG, 1), Transformer(CONFIG, 1), Transformer(CONFIG, 2)
    assert torch.equal(torch.get_rng_state(), before), "building a model must not draw from the global generator"
    for name, value in first.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])
    assert not torch.equal(first.embedding.weight, other.embedding.weight)


def test_first_weights_have_the_stated_spread():
    model = Transformer(dataclasses.replace(CONFIG, hidden_size=256, intermediate_size=512))
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            assert bool((parameter == 1).all())
        else:
            spread = 0.02 / math.sqrt(4) if name.endswith(("output.weight", "down.weight")) else 0.02
            assert parameter.std().item() == pytest.approx(spread, rel=0.05), name
    loss = torch.nn.functional.cross_entropy(model(_tokens()).logits.flatten(0, 1), _tokens(seed=1).flatten())
    assert loss.item() == pytest.approx(math.log(50), abs=0.3)


@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_has_one_role(tied):
    model = Transformer(dataclasses.replace(CONFIG, tied_embeddings=tied))
    roles = model.parameter_roles()
    assert list(roles) == [name for name, _ in model.named_parameters()]
    assert roles["embedding.weight"] == "embedding"
    assert roles["norm.weight"] == roles["blocks.0.attention.query_norm.weight"] == "norm"
    assert roles["blocks.1.feed_forward.gate.weight"] == "matrix"
    assert roles.get("head.weight") == (None if tied else "head")


def test_dropout_only_while_training():
    model = Transformer(dataclasses.replace(CONFIG, dropout=0.5))
    assert not torch.equal(model(_tokens()).logits, model(_tokens()).logits)
    model.eval()
    assert torch.equal(model(_tokens()).logits, model(_tokens()).logits)


@pytest.mark.parametrize("packed", [True, False])
def test_bfloat16_autocast_is_near_float32_and_states_keep_formats(packed):
    model = Transformer(CONFIG)
    documents = torch.tensor([[0] * 5 + [1] * 7] * 2) if packed else None
    wide = model(_tokens(), documents)
    with autocast("cpu", "bf16"):
        narrow = model(_tokens(), documents)
    assert narrow.hidden.dtype is torch.bfloat16 and wide.hidden.dtype is torch.float32
    torch.testing.assert_close(narrow.hidden.float(), wide.hidden, rtol=0.05, atol=0.05)
    narrow.logits.float().square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.dtype is torch.float32, name
        assert bool(parameter.grad.isfinite().all()), name


def test_a_bfloat16_model_computes():
    model = Transformer(CONFIG).to(torch.bfloat16).eval()
    with torch.inference_mode():
        cache = model.new_cache(2)
        model(_tokens(), cache=cache)
        assert model(_tokens(time=1), cache=cache).logits.dtype is torch.bfloat16


def test_gradients_are_those_of_finite_differences():
    model = Transformer(CONFIG)
    tokens = _tokens(1, 6)

    def loss():
        return model(tokens).hidden.square().mul(torch.linspace(0, 1, 32)).sum()

    loss().backward()
    generator = torch.Generator().manual_seed(0)
    for name in (
        "blocks.0.attention.query.weight",
        "blocks.0.attention.key_norm.weight",
        "blocks.1.feed_forward.up.weight",
    ):
        parameter = model.get_parameter(name)
        direction = torch.randn(parameter.shape, generator=generator)
        direction /= direction.norm()
        slope = (parameter.grad * direction).sum().item()
        with torch.no_grad():
            step = 1e-2
            parameter += step * direction
            above = loss().item()
            parameter -= 2 * step * direction
            below = loss().item()
            parameter += step * direction
        assert (above - below) / (2 * step) == pytest.approx(slope, rel=0.05, abs=2e-2), name
