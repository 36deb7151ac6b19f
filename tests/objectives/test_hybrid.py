from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textus.dataset.window import Origin, Window
from textus.errors import CorpusError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.objectives.hybrid import Hybrid
from textus.objectives.masked import Masked
from textus.objectives.objective import Loss

GENERATOR = torch.Generator()
TIME = 21


def window_of(rows: int, first: int = 0) -> Window:
    tokens = torch.randint(10, 60, (rows, TIME), generator=torch.Generator().manual_seed(first))
    numbers = torch.arange(first, first + rows)
    once = torch.ones(rows, dtype=torch.long)
    places = numbers[:, None] * 100 + torch.arange(TIME)
    predict = torch.ones(rows, TIME, dtype=torch.bool)
    predict[:, 0] = False
    return Window(tokens, torch.zeros_like(tokens), predict, Origin(numbers, 0 * once, 10 * once, places))


@pytest.fixture(scope="module")
def model(vocabulary: Any) -> Transformer:
    config = ModelConfig(
        vocab_size=len(vocabulary.is_special),
        context_length=TIME - 1,
        num_layers=2,
        hidden_size=16,
        num_heads=2,
        num_kv_heads=1,
        head_size=8,
        intermediate_size=24,
        reads_both_ways=True,
    )
    return Transformer(config, seed=1)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 1000))
def test_turns_are_in_proportion_from_the_first_window_on(causal: int, masked: int, length: int) -> None:
    if not causal + masked:
        return
    objective = Hybrid(None, (causal, masked))  # type: ignore[arg-type]
    shown = int(objective.is_causal(torch.arange(length)).sum())
    assert abs(shown - length * causal / (causal + masked)) < 1


def test_the_sequence_is_as_stated() -> None:
    objective = Hybrid(None, (1, 2))  # type: ignore[arg-type]
    assert objective.is_causal(torch.arange(7)).tolist() == [False, False, True, False, False, True, False]
    biphasic = Hybrid(None, switch=3)  # type: ignore[arg-type]
    assert biphasic.is_causal(torch.arange(5)).tolist() == [True, True, True, False, False]


def test_each_row_is_asked_in_its_own_way_and_counts_the_same(vocabulary: Any, model: Transformer) -> None:
    masked = Masked(vocabulary, prediction_offset=1, rate=0.25)
    objective, window = Hybrid(masked, (1, 1)), window_of(6)
    batch = objective.batch(window, GENERATOR)
    causal = objective.is_causal(torch.arange(6)).nonzero().squeeze(1)
    others = (~objective.is_causal(torch.arange(6))).nonzero().squeeze(1)
    assert [part.attention for part in batch.parts] == ["causal", "bidirectional"]
    assert batch.count == 6 * (TIME - 1) and batch.positions == 6 * (TIME - 1)
    one = Causal().loss(model, Causal().batch(window.take(causal), GENERATOR))
    other = masked.loss(model, masked.batch(window.take(others), GENERATOR))
    assert other.count == 3 * round(0.25 * (TIME - 1))
    mean = objective.loss(model, batch).mean
    assert mean.item() == pytest.approx((one.mean.item() + other.mean.item()) / 2, rel=1e-5)


def test_micro_batches_add_up_and_are_read_in_one_way_each(vocabulary: Any, model: Transformer) -> None:
    objective = Hybrid(Masked(vocabulary, prediction_offset=1), (2, 1))
    batch = objective.batch(window_of(7), GENERATOR)
    whole = objective.loss(model, batch)
    parts = list(batch.split(2))
    assert {len(part.tokens) for part in parts} <= {1, 2}
    losses = [objective.loss(model, part) for part in parts]
    summed = sum(losses[1:], losses[0])
    assert isinstance(summed, Loss) and summed.count == whole.count == sum(part.count for part in parts)
    assert summed.total.item() == pytest.approx(whole.total.item(), rel=1e-5)


def test_measured_is_every_row_both_ways(vocabulary: Any, model: Transformer) -> None:
    objective = Hybrid(Masked(vocabulary, prediction_offset=1, rate=0.5), (0, 1)).validation()
    batch = objective.batch(window_of(4), GENERATOR)
    assert [len(part.tokens) for part in batch.parts] == [4, 4]
    assert batch.parts[1].num_labels == 4 * round(0.15 * (TIME - 1))
    moved = batch.to("cpu")
    assert moved.count == batch.count and objective.loss(model, moved).count == batch.count


def test_rows_of_padding_alone_are_left_out_and_nothing_else_is_refused(vocabulary: Any) -> None:
    objective, window = Hybrid(Masked(vocabulary, prediction_offset=1)), window_of(4)
    window.predict[1] = False
    assert sum(len(part.tokens) for part in objective.batch(window, GENERATOR).parts) == 3
    window.predict[:] = False
    with pytest.raises(CorpusError, match="asks for no prediction"):
        objective.batch(window, GENERATOR)
