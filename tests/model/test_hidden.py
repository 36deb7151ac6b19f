from __future__ import annotations

import pytest
import torch

from textus.errors import ConfigError
from textus.model.config import ModelConfig
from textus.model.hidden import both_ways, hidden_log_probabilities
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
KINDS = {
    "encoder": {"attention": "bidirectional", "prediction_offset": 0, "family": "modernbert"},
    "masked next token": {"attention": "bidirectional"},
    "hybrid": {"reads_both_ways": True},
}
ROWS = [[1, 2, 3], [4, 5, 6, 7, 8, 9, 10], [11, 12]]
ASKED = [[1, 2], [3], [1]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_tokens", [1, 14, 1000])
def test_rows_of_unequal_length_are_read_as_if_alone(kind: str, batch_tokens: int) -> None:
    model = Transformer(ModelConfig(**{**SHAPE, **KINDS[kind]}), seed=1).eval()  # type: ignore[arg-type]
    offset = model.config.prediction_offset
    found = list(hidden_log_probabilities(model, ROWS, ASKED, batch_tokens=batch_tokens))
    for row, positions, likely in zip(ROWS, ASKED, found, strict=True):
        logits = model(torch.tensor([row]), attention="bidirectional").logits[0]
        wanted = logits[[position - offset for position in positions]].log_softmax(-1)
        assert torch.allclose(likely, wanted, atol=1e-5)


def test_a_hybrid_reads_each_way_when_told_to() -> None:
    hybrid = Transformer(ModelConfig(**{**SHAPE, **KINDS["hybrid"]}), seed=1).eval()  # type: ignore[arg-type]
    tokens, other = torch.arange(10)[None], torch.arange(10)[None].clone()
    other[0, -1] = 30
    for reading, sees in (("config", False), ("causal", False), ("bidirectional", True)):
        first, second = (hybrid.encode(rows, attention=reading)[0, 0] for rows in (tokens, other))  # type: ignore[arg-type]
        assert (not torch.allclose(first, second, atol=1e-5)) is sees


def test_a_model_that_reads_one_way_is_refused() -> None:
    with pytest.raises(ConfigError, match="reads from left to right only, and filling a blank needs both sides"):
        both_ways(Transformer(ModelConfig(**SHAPE)), "filling a blank")  # type: ignore[arg-type]


def test_pooling_passes_over_padding() -> None:
    states = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1))
    there = torch.tensor([[True] * 5, [True, True, True, False, False]])
    for how in ("mean", "cls", "last"):
        both = pool(states, there, how)  # type: ignore[arg-type]
        alone = pool(states[1:, :3], there[1:, :3], how)  # type: ignore[arg-type]
        assert torch.allclose(both[1], alone[0])
