"""A grown vocabulary: the old tokens keep all that they had, the new ones begin at the mean."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from textus.adaptation.vocabulary import begin_at_mean, begin_at_parts, grown
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer

SHAPE = ModelConfig(
    vocab_size=20, context_length=8, num_layers=1, hidden_size=8, num_heads=1, num_kv_heads=1, head_size=8,
    intermediate_size=8,
)  # fmt: skip
TOKENS = torch.arange(8)[None]


@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_old_tokens_are_what_they_were(tied: bool) -> None:
    model = Transformer(replace(SHAPE, tied_embeddings=tied), seed=1).eval()
    larger = grown(model, 23)
    assert larger.config.vocab_size == 23 and grown(model, 20) is model
    logits, before = larger(TOKENS).logits, model(TOKENS).logits
    torch.testing.assert_close(logits[..., :20], before)
    torch.testing.assert_close(logits[..., 20:], before.mean(-1, keepdim=True).expand(1, 8, 3))
    assert (larger.head.weight is larger.embedding.weight) == tied
    assert all(parameter.requires_grad and not parameter.is_meta for parameter in larger.parameters())


@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_tokens_that_were_never_seen_begin_at_the_mean_of_the_others(tied: bool) -> None:
    model = Transformer(replace(SHAPE, tied_embeddings=tied), seed=1)
    before = {name: getattr(model, name).weight.clone() for name in ("embedding", "head")}
    begin_at_mean(model, ())
    begin_at_mean(model, (2, 3))
    rest = [token for token in range(20) if token not in (2, 3)]
    for name, old in before.items():
        weight = getattr(model, name).weight
        assert torch.equal(weight[rest], old[rest])
        torch.testing.assert_close(weight[[2, 3]], old[rest].mean(0).expand(2, 8))


@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_new_tokens_begin_at_the_mean_of_their_parts(tied: bool) -> None:
    model = grown(Transformer(replace(SHAPE, tied_embeddings=tied), seed=1), 22)
    before = {name: getattr(model, name).weight.clone() for name in ("embedding", "head")}
    begin_at_parts(model, 20, [(1, 2), (3, 3, 4)])
    for name, old in before.items():
        weight = getattr(model, name).weight
        torch.testing.assert_close(weight[20], (old[1] + old[2]) / 2)
        torch.testing.assert_close(weight[21], (2 * old[3] + old[4]) / 3)
        assert torch.equal(weight[:20], old[:20])
