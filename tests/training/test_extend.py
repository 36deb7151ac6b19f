"""A model that goes on at a longer context: its shape, and whether stretched positions are worth anything."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textus.dataset.loader import Loader
from textus.dataset.pack import Windows
from textus.dataset.split import TokenSplit
from textus.dataset.tokenize import Shards
from textus.errors import ConfigError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.training.config import ModelSettings
from textus.training.extend import KEPT, extended, learnt_context
from textus.training.loop import TrainState, train
from textus.training.recipe import Recipe

START = ModelConfig(
    vocab_size=32,
    context_length=64,
    num_layers=2,
    hidden_size=32,
    num_heads=2,
    num_kv_heads=1,
    head_size=16,
    intermediate_size=64,
    norm_epsilon=1e-5,
)


@given(st.integers(65, 5000), st.sampled_from(["linear", "yarn"]), st.integers(65, 5000))
def test_twice_extended_is_extended_at_once(first: int, kind: Any, second: int) -> None:
    settings = ModelSettings(rope_scaling=kind)
    between = extended(START, settings, first)
    found = extended(between, ModelSettings(), second)
    assert learnt_context(between) == 64 and between.rope_factor == first / 64
    if second > first:
        assert found == extended(START, settings, second)
    else:
        assert found == dataclasses.replace(between, context_length=second), "weights know no other angles by now"


def test_what_auto_means() -> None:
    assert extended(START, ModelSettings(), 64) == START
    assert extended(START, ModelSettings(), 32) == dataclasses.replace(START, context_length=32)
    longer = extended(START, ModelSettings(), 256)
    assert (longer.rope_scaling, longer.rope_factor, longer.rope_original_context) == ("yarn", 4.0, 64)
    based = extended(START, ModelSettings(rope_theta=1e6), 256)
    assert based == dataclasses.replace(START, context_length=256, rope_theta=1e6)
    assert extended(START, ModelSettings(rope_scaling="none"), 256) == dataclasses.replace(START, context_length=256)
    assert extended(START, ModelSettings(dropout=0.3), 64).dropout == 0.3


@pytest.mark.parametrize("name", KEPT)
def test_weights_keep_their_shape(name: str) -> None:
    has = getattr(START, name)
    assert extended(START, ModelSettings(**{name: has}), 64) == START
    other = not has if isinstance(has, bool) else 2 * has
    with pytest.raises(ConfigError, match=f"model.{name} is {other}.* has {has}"):
        extended(START, ModelSettings(**{name: other}), 64)


def learn(model: Transformer, split: TokenSplit, steps: int, rate: float) -> None:
    context = model.config.context_length
    recipe = Recipe(
        steps=steps,
        batch_tokens=1024,
        micro_batch_tokens=1024,
        optimizer="muon",
        learning_rate=rate,
        warmup_steps=steps // 5,
        beta2=0.99,
    )
    windows = Windows(split, context, 1, 1)
    for _ in train(model, Loader(windows, 1024 // context), Causal(), recipe, TrainState.start(model, recipe)):
        pass


@torch.inference_mode()
def loss_beyond(first: int, model: Transformer, split: TokenSplit) -> float:
    """Measure whole documents' windows at the positions after `first`."""
    model.eval()
    windows = Windows(split, model.config.context_length, 1, 1, ordered=True)
    batch = Causal().batch(windows.rows(range(min(windows.per_epoch, 60))), torch.Generator())
    asked = batch.labels[:, first:] >= 0
    logits = model(batch.tokens, batch.documents).logits[:, first:]
    return float(torch.nn.functional.cross_entropy(logits[asked], batch.labels[:, first:][asked]))


def test_stretched_positions_are_worth_having(trained: Path, one_thread: None) -> None:
    """Learn 64 tokens, then read 256: without stretching, what stands after the 64th is read worse."""
    shards = Shards.open(trained / "runs" / "first" / "shards")
    training, held_out = shards.split("train"), shards.split("validation")
    short = Transformer(dataclasses.replace(START, vocab_size=training.vocab_size), seed=1)
    learn(short, training, 200, 1e-2)
    found: dict[str, float] = {}
    for kind in ("none", "yarn"):
        longer = Transformer(extended(short.config, ModelSettings(rope_scaling=kind), 256))  # type: ignore[arg-type]
        longer.load_state_dict(short.state_dict())
        found[kind] = loss_beyond(64, longer, held_out)
        learn(longer, training, 12, 3e-3)
        found[f"{kind}, taught"] = loss_beyond(64, longer, held_out)
    assert found["yarn"] < found["none"] - 0.005
    assert found["yarn, taught"] < found["none, taught"] - 0.005
    assert found["yarn, taught"] < found["yarn"]
