import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from textus.dataset.window import Window
from textus.errors import CorpusError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.objectives.objective import IGNORE

CONFIG = ModelConfig(
    vocab_size=30,
    context_length=32,
    num_layers=1,
    hidden_size=16,
    num_heads=2,
    num_kv_heads=2,
    head_size=8,
    intermediate_size=24,
)
GENERATOR = torch.Generator()


def _window(lengths, rows=1, seed=0):
    documents = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)).repeat(rows, 1)
    tokens = torch.randint(30, documents.shape, generator=torch.Generator().manual_seed(seed))
    predict = torch.ones_like(documents, dtype=torch.bool)
    predict[:, 0] = False
    predict[:, 1:] = documents[:, 1:] == documents[:, :-1]
    return Window(tokens, documents, predict)


def test_position_i_is_asked_for_token_i_plus_1():
    window = _window([3, 2])
    batch = Causal().batch(window, GENERATOR)
    tokens = window.tokens[0]
    assert torch.equal(batch.tokens[0], tokens[:-1])
    assert batch.labels[0].tolist() == [tokens[1], tokens[2], IGNORE, tokens[4]]
    assert batch.documents is not None and batch.count == 3


def test_what_may_not_be_asked_is_not():
    window = _window([6])
    window.predict[0, 3] = False
    batch = Causal().batch(window, GENERATOR)
    assert batch.labels[0, 2] == IGNORE and batch.count == 4
    # a window that claims to ask a document's first token is not believed
    bold = dataclasses.replace(_window([3, 3]), predict=torch.ones(1, 6, dtype=torch.bool))
    assert Causal().batch(bold, GENERATOR).labels[0, 2] == IGNORE


def test_rows_of_one_document_need_no_mask():
    assert Causal().batch(_window([8], rows=3), GENERATOR).documents is None


def test_padding_alone_is_refused():
    window = dataclasses.replace(_window([4]), predict=torch.zeros(1, 4, dtype=torch.bool))
    with pytest.raises(CorpusError, match="no prediction"):
        Causal().batch(window, GENERATOR)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 8), min_size=1, max_size=4).filter(lambda lengths: max(lengths) > 1), st.integers(1, 3))
def test_loss_is_cross_entropy_over_what_is_asked(lengths, rows):
    model, objective = Transformer(CONFIG), Causal()
    batch = objective.batch(_window(lengths, rows), GENERATOR)
    loss = objective.loss(model, batch)
    logits = model(batch.tokens, batch.documents).logits
    oracle = functional.cross_entropy(
        logits.flatten(0, 1).double(), batch.labels.flatten(), ignore_index=IGNORE, reduction="sum"
    )
    assert loss.count == batch.count
    torch.testing.assert_close(loss.total.double(), oracle, rtol=1e-5, atol=1e-5)
    loss.mean.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_micro_batches_give_the_same_gradient():
    window = _window([5, 1, 4], rows=4)
    grads = []
    for rows in (4, 1):
        model = Transformer(CONFIG)
        batch = Causal().batch(window, GENERATOR)
        for micro in batch.split(rows):
            (Causal().loss(model, micro).total / batch.count).backward()
        grads.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, grad in grads[0].items():
        torch.testing.assert_close(grad, grads[1][name], rtol=1e-4, atol=1e-6)


def test_places_for_more_labels_than_there_are_ask_nothing():
    batch, found = Causal().batch(_window([5, 1, 1, 1, 2], rows=2), GENERATOR), []
    for more in (0, 3):
        model = Transformer(CONFIG, seed=1)
        loss = Causal().loss(model, dataclasses.replace(batch, num_labels=batch.num_labels + more))
        loss.total.backward()
        found.append((loss.total.item(), [weight.grad for weight in model.parameters()]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    for mine, its in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(mine, its)
