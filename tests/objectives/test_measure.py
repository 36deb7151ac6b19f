import dataclasses

import pytest
import torch

from textus.dataset.window import Window
from textus.errors import CorpusError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.objectives.measure import evaluating, measure

CONFIG = ModelConfig(
    vocab_size=30,
    context_length=16,
    num_layers=1,
    hidden_size=16,
    num_heads=2,
    num_kv_heads=2,
    head_size=8,
    intermediate_size=24,
    dropout=0.5,
)


def _window(rows, time, seed):
    tokens = torch.randint(30, (rows, time), generator=torch.Generator().manual_seed(seed))
    predict = torch.ones_like(tokens, dtype=torch.bool)
    predict[:, 0] = False
    return Window(tokens, torch.zeros_like(tokens), predict)


def test_windows_of_unequal_size_weigh_by_their_tokens():
    model = Transformer(CONFIG).train()
    windows = [_window(3, 9, 1), _window(1, 4, 2)]
    loss = measure(model, Causal(), windows, "cpu")
    assert model.training and loss.count == 3 * 8 + 3 and loss.total.dtype is torch.float64
    model.eval()
    parts = [Causal().loss(model, Causal().batch(window, torch.Generator())) for window in windows]
    assert loss.total.item() == pytest.approx(sum(part.total.item() for part in parts), rel=1e-6)
    assert measure(model, Causal(), windows, "cpu").total.equal(loss.total)
    assert not model.training


def test_arithmetic_is_the_callers():
    model = Transformer(dataclasses.replace(CONFIG, dropout=0.0))
    wide = measure(model, Causal(), [_window(4, 16, 1)], "cpu")
    narrow = measure(model, Causal(), [_window(4, 16, 1)], "cpu", lambda: torch.autocast("cpu", torch.bfloat16))
    assert narrow.mean.item() == pytest.approx(wide.mean.item(), rel=1e-2)
    assert not narrow.total.equal(wide.total)


def test_a_model_that_was_measured_can_still_learn():
    model = Transformer(CONFIG)
    measure(model, Causal(), [_window(1, 8, 1)], "cpu")
    Causal().loss(model, Causal().batch(_window(1, 8, 1), torch.Generator())).mean.backward()


def test_nothing_to_measure_is_an_error():
    with pytest.raises(CorpusError, match="nothing to measure"):
        measure(Transformer(CONFIG), Causal(), [], "cpu")


def test_mode_comes_back_after_an_error():
    model = Transformer(CONFIG).train()
    with pytest.raises(ZeroDivisionError), evaluating(model):
        assert not model.training
        _ = 1 / 0
    assert model.training
