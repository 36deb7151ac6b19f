from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from textus.dataset.window import Origin, Window
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.diffusion import LEAST, Diffusion
from textus.objectives.objective import IGNORE

GENERATOR = torch.Generator()


def window_of(rows: int, time: int = 12, first: int = 0) -> Window:
    tokens = torch.randint(10, 60, (rows, time), generator=torch.Generator().manual_seed(first))
    tokens[:, 0] = 0
    numbers = torch.arange(first, first + rows)
    once = torch.ones(rows, dtype=torch.long)
    predict = torch.ones(rows, time, dtype=torch.bool)
    predict[:, 0] = False
    places = numbers[:, None] * time + torch.arange(time)
    return Window(tokens, torch.zeros_like(tokens), predict, Origin(numbers, 0 * once, 10 * once, places))


@settings(max_examples=30)
@given(seed=st.integers(0, 2**40), offset=st.sampled_from([0, 1]), rows=st.integers(1, 9))
def test_weights_are_the_inverse_of_the_rate_and_the_loss_is_over_all_tokens(
    vocabulary: Any, seed: int, offset: Any, rows: int
) -> None:
    window, objective = window_of(rows), Diffusion(vocabulary, offset, seed)
    batch = objective.batch(window, GENERATOR)
    assert window.origin is not None and batch.weights is not None
    rates = objective.rates(window.origin.numbers.numpy())
    assert ((rates >= LEAST) & (rates < 1)).all()
    assert torch.allclose(batch.weights, torch.from_numpy(1 / rates).float())
    assert batch.count == rows * 11
    hidden = batch.tokens == vocabulary.mask
    if offset == 0:
        assert torch.equal(hidden, batch.labels != IGNORE)
    assert sum(part.count for part in batch.split(2)) == batch.count


def test_each_token_is_hidden_as_often_as_its_rate_says(vocabulary: Any) -> None:
    objective, window = Diffusion(vocabulary), window_of(3000)
    hidden = (objective.batch(window, GENERATOR).tokens == vocabulary.mask)[:, 1:].float().mean(1).numpy()
    rates = objective.rates(np.arange(3000))
    assert np.corrcoef(hidden, rates)[0, 1] > 0.85
    low = rates < 0.5
    assert hidden[low].mean() == pytest.approx(rates[low].mean(), abs=0.01)
    assert hidden[~low].mean() == pytest.approx(rates[~low].mean(), abs=0.01)


def test_rates_of_any_row_of_windows_are_spread_evenly(vocabulary: Any) -> None:
    for first in (0, 7, 10**9):
        rates = np.sort(Diffusion(vocabulary, seed=4).rates(np.arange(first, first + 64)))
        assert np.abs(rates - (np.arange(64) + 0.5) / 64).max() < 2 / 64


def test_the_loss_estimates_what_enumeration_gives(vocabulary: Any) -> None:
    """With n tokens, a set S is hidden with weight (|S|-1)! (n-|S|)! / n!: the integral over all rates."""
    config = ModelConfig(
        vocab_size=len(vocabulary.is_special),
        context_length=6,
        num_layers=1,
        hidden_size=16,
        num_heads=2,
        num_kv_heads=2,
        head_size=8,
        intermediate_size=24,
        attention="bidirectional",
        prediction_offset=0,
        family="modernbert",
    )
    model = Transformer(config, seed=1).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    one = window_of(1, time=5)
    tokens, exact = one.tokens[0], 0.0
    for code in range(1, 2**4):
        chosen = [position for position in range(1, 5) if code >> (position - 1) & 1]
        weight = np.prod(np.arange(1, len(chosen))) * np.prod(np.arange(1, 5 - len(chosen))) / 24
        shown = tokens.clone()
        shown[chosen] = vocabulary.mask
        with torch.inference_mode():
            logits = model(shown[None]).logits[0, chosen]
        exact += weight * functional.cross_entropy(logits, tokens[chosen], reduction="sum").item()
    rows = 20_000
    many = window_of(rows, time=5)
    window = dataclasses.replace(many, tokens=tokens.expand(rows, 5).clone())
    objective = Diffusion(vocabulary)
    batch = objective.batch(window, GENERATOR)
    with torch.inference_mode():
        losses = torch.stack([objective.loss(model, part).total for part in batch.split(500)])
    mean = losses.sum().item() / rows
    error = (losses / 500).std().item() / len(losses) ** 0.5
    assert batch.count == 4 * rows
    assert mean == pytest.approx(exact, abs=4 * error + 0.01 * exact)
    assert error < 0.02 * exact


def test_a_batch_in_which_nothing_is_hidden_counts_all_the_same(vocabulary: Any) -> None:
    objective = Diffusion(vocabulary)
    # a rate close to 0: no token of one short row is hidden
    number = int(np.argmin(objective.rates(np.arange(5000))))
    batch = objective.batch(window_of(1, time=4, first=number), GENERATOR)
    assert batch.num_labels == 0 and batch.count == 3
    config = ModelConfig(
        vocab_size=len(vocabulary.is_special),
        context_length=4,
        num_layers=1,
        hidden_size=8,
        num_heads=1,
        num_kv_heads=1,
        head_size=8,
        intermediate_size=8,
        attention="bidirectional",
        prediction_offset=0,
        family="modernbert",
    )
    loss = objective.loss(Transformer(config), batch)
    assert loss.mean.item() == 0
    loss.total.backward()
