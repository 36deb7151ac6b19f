"""The product with a matrix and its pair in one, with the product of each by itself as the oracle."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from textus.model.adapter import AdaptedLinear, Pair
from textus.model.beside import product
from textus.model.layers import Linear, joined


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.floats(0.5, 4)), min_size=1, max_size=3))
def test_values_and_gradients_are_those_of_matrix_and_pair_apart(shapes: list[tuple[int, int, float]]) -> None:
    generator = torch.Generator().manual_seed(len(shapes))

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x = draw(2, 3, 4).requires_grad_()
    weights = tuple(draw(out, 4) for out, _, _ in shapes)
    downs = tuple(draw(rank, 4).requires_grad_() for _, rank, _ in shapes)
    ups = tuple(draw(out, rank).requires_grad_() for out, rank, _ in shapes)
    scales = tuple(scale for *_, scale in shapes)
    apart = torch.cat(
        [
            functional.linear(x, weight) + scale * functional.linear(functional.linear(x, down), up)
            for weight, down, up, scale in zip(weights, downs, ups, scales, strict=True)
        ],
        -1,
    )
    found = product(x, weights, downs, ups, scales)
    torch.testing.assert_close(found, apart)
    wanted = draw(*found.shape)
    learn = (x, *downs, *ups)
    for mine, theirs in zip(
        torch.autograd.grad((found * wanted).sum(), learn),
        torch.autograd.grad((apart * wanted).sum(), learn),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs)


# torch's own tracer makes an instance, of which torch warns
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_a_compiler_takes_it_whole() -> None:
    torch.manual_seed(2)
    x, weights = torch.randn(3, 4, requires_grad=True), (torch.randn(5, 4), torch.randn(6, 4))
    downs = tuple(torch.randn(2, 4, requires_grad=True) for _ in weights)
    ups = tuple(torch.randn(len(weight), 2, requires_grad=True) for weight in weights)

    def square(x: torch.Tensor) -> torch.Tensor:
        return product(x, weights, downs, ups, (2.0, 0.5)).square().sum()

    fast, learn = torch.compile(square, fullgraph=True, dynamic=False, backend="aot_eager"), (x, *downs, *ups)
    for mine, theirs in zip(torch.autograd.grad(fast(x), learn), torch.autograd.grad(square(x), learn), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_matrices_that_learn_are_joined_as_they_are_apart(dropout: float) -> None:
    generator, matrices = torch.Generator().manual_seed(1), []
    for outputs in (3, 5):
        plain = Linear(4, outputs).requires_grad_(False)
        plain.weight.normal_(generator=generator)
        pair = Pair(4, outputs, 2, 4.0, dropout)
        pair.begin(generator)
        torch.nn.init.normal_(pair.up.weight, generator=generator)
        matrix = AdaptedLinear(plain)
        matrix.adapters["one"], matrix.heard = pair, "one"
        matrices.append(matrix.train())
    x = torch.randn(6, 4, generator=generator)
    torch.manual_seed(5)
    together = joined(x, matrices)
    torch.manual_seed(5)
    torch.testing.assert_close(together, torch.cat([matrix(x) for matrix in matrices], -1))
    if not dropout:
        with torch.no_grad():  # where nothing is learnt, the pair is asked by itself
            torch.testing.assert_close(together, torch.cat([matrix.eval()(x) for matrix in matrices], -1))
