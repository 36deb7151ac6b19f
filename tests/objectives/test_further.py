import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from textus.dataset.window import PADDING, Window
from textus.model.aids import Aids
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.objectives.further import labels_after
from textus.objectives.measure import measure
from textus.objectives.objective import IGNORE, Loss


def _window(lengths, padding=0, seed=0):
    documents = torch.tensor([n for n, length in enumerate(lengths) for _ in range(length)] + [PADDING] * padding)
    generator = torch.Generator().manual_seed(seed)
    predict = (documents != PADDING) & (torch.rand(len(documents), generator=generator) < 0.9)
    predict[[0, *torch.nonzero(documents.diff()).flatten().add(1).tolist()]] = False
    return Window(torch.randint(1, 30, (1, len(documents)), generator=generator), documents[None], predict[None])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 5), st.integers(1, 12), st.integers(0, 99))
def test_a_later_token_is_asked_for_only_in_its_document(lengths, padding, further, seed):
    window = _window([*lengths, 4], padding, seed)
    batch = Causal().batch(window, torch.Generator())
    found = labels_after(batch.labels, batch.documents, further)[0].tolist()
    documents, tokens, predict = window.documents[0].tolist(), window.tokens[0].tolist(), window.predict[0].tolist()
    for at, label in enumerate(found):
        later = at + 1 + further
        asked = later < len(tokens) and documents[at] == documents[later] != PADDING and predict[later]
        assert label == (tokens[later] if asked else IGNORE)


def _model(**aids):
    model = Transformer(ModelConfig(32, 40, 2, 16, 2, 1, 8, 24), seed=3)
    if aids:
        model.aids = Aids(16, **{"z_loss": 0.0, "future_tokens": 0, "future_weight": 0.3, **aids})
        torch.manual_seed(0)
        with torch.no_grad():
            for head in model.aids.heads:
                head.turn.weight.normal_(0, 0.3)
    return model.train()


def test_the_loss_and_its_gradients_are_those_of_the_formula():
    model = _model(z_loss=0.01, future_tokens=2, future_weight=0.4)
    batch = Causal().batch(_window([7, 3, 12, 9], 4), torch.Generator())
    loss = Causal().loss(model, batch)
    got = dict(zip(dict(model.named_parameters()), torch.autograd.grad(loss.total, model.parameters()), strict=True))
    assert not loss.measured.requires_grad
    states = model.encode(batch.tokens, batch.documents)
    scores, labels = states @ model.head.weight.t(), batch.labels
    plain = functional.cross_entropy(scores.flatten(0, 1), labels.flatten(), reduction="sum")
    total = plain + 0.01 * (scores.logsumexp(-1).square() * (labels != IGNORE)).sum()
    for further, head in enumerate(model.aids.heads, 1):
        later = states + functional.silu(states @ head.turn.weight.t())
        asked = labels_after(labels, batch.documents, further).flatten()
        total = total + 0.4 / 2 * functional.cross_entropy(
            (later @ model.head.weight.t()).flatten(0, 1), asked, reduction="sum"
        )
    torch.testing.assert_close(loss.total, total)
    torch.testing.assert_close(loss.measured, plain)
    assert loss.mean.item() == pytest.approx(plain.item() / batch.count)
    wanted = dict(zip(got, torch.autograd.grad(total, model.parameters()), strict=True))
    for name, value in got.items():
        assert wanted[name].abs().max() > 0, name
        torch.testing.assert_close(value, wanted[name], rtol=1e-4, atol=1e-5)


def test_nothing_of_it_is_in_what_is_measured():
    window = _window([7, 3, 12, 9], 4)
    with_aids, without = _model(z_loss=1.0, future_tokens=3), _model()
    assert measure(with_aids, Causal(), [window], "cpu").total == measure(without, Causal(), [window], "cpu").total
    batch = Causal().batch(window, torch.Generator())
    assert Causal().loss(with_aids, batch).measured == Causal().loss(without, batch).total
    assert Causal().loss(with_aids, batch).total > Causal().loss(without, batch).total


def test_sums_keep_what_is_told_apart():
    plain, more = Loss(torch.tensor(2.0), 1), Loss(torch.tensor(5.0), 3, torch.tensor(4.0))
    both = plain + more + plain
    assert (both.total, both.count, both.told) == (9.0, 5, 8.0)
    assert (plain + plain).told is None
