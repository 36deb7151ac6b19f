"""Adapters beside matrices: nothing at first, of low rank, heard by name."""

from __future__ import annotations

import pytest
import torch

from textus.model.adapter import AdaptedLinear, Pair, TokenRows, adapted, add_rows, hear, matrices
from textus.model.config import ModelConfig
from textus.model.layers import Linear
from textus.model.transformer import Transformer

SHAPE = ModelConfig(
    vocab_size=40, context_length=16, num_layers=2, hidden_size=16, num_heads=2, num_kv_heads=1, head_size=8,
    intermediate_size=32,
)  # fmt: skip
TOKENS = torch.arange(12).view(2, 6)


@pytest.fixture
def model() -> Transformer:
    made = Transformer(SHAPE, seed=1).eval()
    for number, name in enumerate(("one", "two")):
        generator = torch.Generator().manual_seed(number)
        for owner, last, _, plain in matrices(made, "all"):
            pair = Pair(plain.in_features, plain.out_features, 4, 8.0, 0.0)
            pair.begin(generator)
            matrix = plain if isinstance(plain, AdaptedLinear) else AdaptedLinear(plain)
            matrix.adapters[name] = pair
            setattr(owner, last, matrix)
    return made


def logits(model: Transformer) -> torch.Tensor:
    with torch.no_grad():
        return model(TOKENS).logits


def widen(model: Transformer, name: str) -> None:
    for matrix in adapted(model).values():
        torch.nn.init.normal_(matrix.adapters[name].up.weight, std=0.1)


def test_it_adds_nothing_at_first_and_what_the_formula_says_later(model: Transformer) -> None:
    plain = logits(model)
    hear(model, "one")
    assert torch.equal(logits(model), plain)
    widen(model, "one")
    matrix = adapted(model)["blocks.1.feed_forward.down"]
    x = torch.randn(3, 32)
    pair = matrix.adapters["one"]
    expected = x @ matrix.weight.T + (x @ pair.down.weight.T @ pair.up.weight.T) * 2.0
    torch.testing.assert_close(matrix(x), expected)
    torch.testing.assert_close(pair.product(), pair.up.weight @ pair.down.weight * 2.0)


def test_with_a_magnitude_each_row_has_the_length_that_was_learnt() -> None:
    torch.manual_seed(3)
    plain = Linear(6, 5)
    torch.nn.init.normal_(plain.weight)
    pair = Pair(6, 5, 2, 4.0, 0.0, dora=True)
    pair.begin(torch.Generator().manual_seed(1), plain.weight)
    matrix, x = AdaptedLinear(plain), torch.randn(3, 6)
    matrix.adapters["one"], matrix.heard = pair, "one"
    torch.testing.assert_close(matrix(x), plain(x))
    assert pair.magnitude is not None
    with torch.no_grad():
        pair.up.weight.normal_()
        pair.magnitude.weight.uniform_(1, 2)
    whole = plain.weight + 2.0 * pair.up.weight @ pair.down.weight
    whole = pair.magnitude.weight[:, None] * whole / whole.norm(dim=1, keepdim=True)
    torch.testing.assert_close(matrix(x), x @ whole.T)
    torch.testing.assert_close(pair.sum(plain.weight), whole)
    torch.testing.assert_close(whole.norm(dim=1), pair.magnitude.weight)


def test_one_is_heard_at_a_time_or_none(model: Transformer) -> None:
    plain = logits(model)
    for name in ("one", "two"):
        widen(model, name)
    add_rows(model, "two", TokenRows("embedding.weight", [3, 5], torch.ones(2, 16)))
    found = {}
    for name in ("one", "two", "", "one", "nobody", "two"):
        hear(model, name)
        now = logits(model)
        assert torch.equal(found.setdefault(name, now), now)
    assert torch.equal(found[""], plain) and torch.equal(found["nobody"], plain)
    assert not torch.equal(found["one"], plain) and not torch.equal(found["one"], found["two"])


@pytest.mark.parametrize(("targets", "count"), [("all", 14), ("attention", 8), ("feed_forward", 6)])
def test_targets_are_chosen_by_role(targets: str, count: int) -> None:
    names = [name for _, _, name, _ in matrices(Transformer(SHAPE), targets)]  # type: ignore[arg-type]
    assert len(names) == count
    assert all(targets in ("all", name.split(".")[2]) for name in names)


def test_what_makes_the_model_is_told_apart(model: Transformer) -> None:
    own, beside = model.own_parameters(), model.beside_parameters()
    assert set(own) == set(Transformer(SHAPE).own_parameters())
    assert len(beside) == 2 * 2 * 14 and not set(own) & set(beside)
    assert set(model.parameter_roles()) == set(own) | set(beside)
    assert {model.parameter_roles()[name] for name in beside} == {"matrix"}
