"""An encoder's heads begin by looking beside their own position, and nothing else changes."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from textus.model import transformer
from textus.model.config import ModelConfig
from textus.model.leak import check_leaks
from textus.model.neighbours import AWAY
from textus.model.transformer import Transformer


def encoder(hidden: int, head: int) -> Transformer:
    shape = {"num_heads": hidden // head, "num_kv_heads": hidden // head, "head_size": head, "hidden_size": hidden}
    reads = {"attention": "bidirectional", "prediction_offset": 0, "family": "modernbert"}
    config = ModelConfig(vocab_size=300, context_length=64, num_layers=3, intermediate_size=hidden, **shape, **reads)  # type: ignore[arg-type]
    return Transformer(config, seed=2).eval()


def weights(model: Transformer, tokens: torch.Tensor) -> list[torch.Tensor]:
    """Return what each head gives each distance from its own position, on average: `[heads, distances]` by layer."""
    found = []
    size = model.config.head_size

    def look(attention: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        x = given[0]
        query, key = (part(x).unflatten(-1, (-1, size)) for part in (attention.query, attention.key))
        turned = model.rotation("cpu")
        query, key = (
            attention._turned(part, (turned[0][: x.shape[1]], turned[1][: x.shape[1]]), x.dtype).transpose(1, 2)
            for part in (query, key)
        )
        given_to = (query @ key.mT / math.sqrt(size)).softmax(-1).mean(0)
        found.append(torch.stack([given_to.diagonal(away, 1, 2).mean(1) for away in (-3, *sorted(AWAY), 0, 3)], 1))

    handles = [block.attention.register_forward_pre_hook(look) for block in model.blocks]
    with torch.inference_mode():
        model(tokens)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize(("hidden", "head"), [(64, 32), (96, 32), (128, 16), (48, 16)])
def test_half_of_the_heads_of_each_layer_look_beside_their_own_place(hidden: int, head: int) -> None:
    tokens = torch.randint(4, 300, (4, 48), generator=torch.Generator().manual_seed(1))
    distances = (-3, *sorted(AWAY), 0, 3)
    model = encoder(hidden, head)
    check_leaks(model)
    for layer in weights(model, tokens):
        looking = max(2, layer.shape[0] // 2)
        for number, given in enumerate(layer):
            wanted = given[distances.index(AWAY[number % len(AWAY)])]
            if number < looking:
                assert wanted == given.max() and wanted > 0.3, (number, given)
            else:
                assert given.max() < 0.1


def test_what_tokens_have_in_common_changes_no_prediction() -> None:
    model = encoder(64, 32)
    tokens = torch.randint(4, 300, (1, 20), generator=torch.Generator().manual_seed(3))
    states = model.encode(tokens)
    before = model.head(model.before_head(states)).log_softmax(-1)
    with torch.no_grad():
        model.head.weight.add_(torch.linspace(-1, 1, 64))  # in the head alone: the states are those from before
    assert torch.allclose(model.head(model.before_head(states)).log_softmax(-1), before, atol=1e-5)


def test_all_else_is_drawn_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = dict(encoder(64, 32).named_parameters())
    monkeypatch.setattr(transformer, "look_around", lambda *_: None)
    plain = dict(encoder(64, 32).named_parameters())
    changed = {name for name in mine if not torch.equal(mine[name], plain[name])}
    looking = {f"blocks.{layer}.attention.{part}.weight" for layer in range(3) for part in ("query", "key")}
    assert changed == {"embedding.weight", *looking}


def test_one_head_is_left_to_look_everywhere() -> None:
    model = encoder(32, 32)
    assert model.embedding.weight.std().item() == pytest.approx(0.02, rel=0.1)
    check_leaks(model)


def test_a_model_that_writes_begins_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    causal = dataclasses.replace(encoder(64, 32).config, attention="causal", prediction_offset=1, family="qwen3")
    model = Transformer(causal, seed=4)
    monkeypatch.setattr(transformer, "look_around", lambda *_: None)
    plain = Transformer(causal, seed=4)
    assert all(map(torch.equal, model.parameters(), plain.parameters()))
