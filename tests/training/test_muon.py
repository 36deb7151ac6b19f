"""Muon against torch's own, and against the paper's formulas in float64 with singular values by LAPACK."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.training.muon import POLAR_EXPRESS, Muon, orthogonalise, update
from textus.training.optimizer import build
from textus.training.recipe import Recipe

NEWTON_SCHULZ = ((3.4445, -4.7750, 2.0315),) * 5
SHAPES = [(6, 6), (4, 9), (9, 4)]


def draw(count: int, shape: tuple[int, int], seed: int = 0) -> torch.Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40)
@given(
    st.integers(1, 12), st.integers(1, 12), st.floats(-6, 6), st.integers(0, 10**6), st.floats(1e-2, 1.0), st.booleans()
)
def test_singular_values_come_near_one_and_singular_vectors_stay(
    rows: int, columns: int, size: float, seed: int, smallest: float, alone: bool
) -> None:
    few = min(rows, columns)
    random = np.random.default_rng(seed)
    left = np.linalg.qr(random.normal(size=(rows, few)))[0]
    right = np.linalg.qr(random.normal(size=(columns, few)))[0]
    values = np.geomspace(1.0, smallest, few) / (np.sqrt(few) if alone else 1.0)
    matrix = torch.from_numpy(10.0**size * (left * values) @ right.T)
    found = orthogonalise(torch.stack([matrix, -matrix]))
    polar = torch.from_numpy(left @ right.T)
    torch.testing.assert_close(found[0], -found[1], rtol=0, atol=1e-9)
    assert torch.linalg.svdvals(found[0]).sub(1).abs().max() < 0.16
    # the same singular vectors: the product with the exact factor is symmetric and positive
    product = found[0] @ polar.mT
    torch.testing.assert_close(product, product.mT, rtol=0, atol=1e-6)


def test_the_polynomials_keep_their_promise_for_small_values_too() -> None:
    values = np.geomspace(1e-3, 1, 1000) / 1.02
    for a, b, c in POLAR_EXPRESS:
        values = a * values + b * values**3 + c * values**5
    assert values.min() > 0.84
    assert values.max() < 1.15


@pytest.mark.parametrize("shape", SHAPES)
def test_with_its_polynomials_it_is_the_muon_of_torch(shape: tuple[int, int]) -> None:
    """Torch's has no row scale and plain decay, so that the directions of its updates are compared."""
    weight = nn.Parameter(draw(1, shape)[0])
    theirs = torch.optim.Muon([weight], lr=1.0, weight_decay=0.0, momentum=0.9)
    momenta = torch.zeros(1, *shape)
    for step in range(4):
        gradient, before = draw(1, shape, step + 1), weight.detach().clone()
        weight.grad = gradient[0]
        theirs.step()
        momenta = torch.lerp(momenta, gradient, 0.1)
        ours = orthogonalise(torch.lerp(gradient, momenta, 0.9), NEWTON_SCHULZ, room=1.0)[0]
        scale = max(1.0, shape[0] / shape[1]) ** 0.5
        torch.testing.assert_close((before - weight.detach()) / scale, ours, rtol=0, atol=0.03)  # theirs is bfloat16


def reference(
    weight: np.ndarray, gradients: list[np.ndarray], rate: float, decay: float, momentum: float, beta: float
) -> np.ndarray:
    held, spread = np.zeros_like(weight), np.zeros((len(weight), 1))
    for gradient in gradients:
        held = momentum * held + (1 - momentum) * gradient
        ahead = (1 - momentum) * gradient + momentum * held
        left, values, right = np.linalg.svd(ahead, full_matrices=False)
        values = values / (np.linalg.norm(values) * 1.02)
        for a, b, c in POLAR_EXPRESS:
            values = a * values + b * values**3 + c * values**5
        change = (left * values) @ right
        spread = beta * spread + (1 - beta) * (change**2).mean(1, keepdims=True)
        change = change / np.sqrt(spread)
        change *= 0.2 * rate / np.sqrt((change**2).mean())
        weight = weight - rate * decay * weight * (change * weight > 0) - change
    return weight


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 3])
def test_updates_are_those_of_the_formulas_in_double_precision(shape: tuple[int, int], count: int) -> None:
    weights = [nn.Parameter(part.clone()) for part in draw(count, shape)]
    groups = [{"params": weights, "role": "matrix", "weight_decay": 0.3, "names": list("abc"[:count])}, other()]
    optimizer = Muon(groups, lr=0.05, betas=(0.9, 0.95), eps=1e-8, momentum=0.8, dtype=torch.float32)
    gradients = [draw(count, shape, seed) * 10.0 ** (seed % 3 - 1) for seed in range(1, 7)]
    for step in gradients:
        for weight, gradient in zip(weights, step, strict=True):
            weight.grad = gradient.clone()
        optimizer.step()
    for index, start in enumerate(draw(count, shape)):
        exact = reference(
            start.double().numpy(), [step[index].double().numpy() for step in gradients], 0.05, 0.3, 0.8, 0.95
        )
        np.testing.assert_allclose(weights[index].detach().numpy(), exact, rtol=1e-4, atol=1e-5)


def other() -> dict[str, Any]:
    return {"params": [nn.Parameter(torch.ones(3))], "role": "norm", "weight_decay": 0.0, "names": ["norm"]}


def test_bfloat16_products_change_the_direction_little() -> None:
    matrices = draw(2, (48, 96))
    exact, narrow = orthogonalise(matrices), orthogonalise(matrices.bfloat16()).float()
    assert ((narrow - exact).norm() / exact.norm()).item() < 0.05
    assert torch.linalg.svdvals(narrow).sub(1).abs().max() < 0.25


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_refused_step_changes_nothing_whatever_its_gradient(optimizer: str) -> None:
    model = Transformer(ModelConfig(32, 16, 2, 16, 2, 1, 8, 24, tied_embeddings=False), seed=3)
    built: Any = build(model, Recipe(optimizer=optimizer))
    for value in (1.0, float("nan"), float("inf"), 2.0):
        for parameter in model.parameters():
            parameter.grad = torch.full_like(parameter, value)
        before = {name: tensor.clone() for name, tensor in tensors(model, built).items()}
        built.grad_scale, built.found_inf = None, torch.tensor(float(value != 1.0))
        built.step()
        after = tensors(model, built)
        same = [name for name in after if name in before and torch.equal(before[name], after[name])]
        assert (len(same) == len(after)) == (value != 1.0)


def tensors(model: Transformer, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    found = {name: parameter.detach() for name, parameter in model.named_parameters()}
    for name, parameter in model.named_parameters():
        found |= {f"{name}/{slot}": value for slot, value in optimizer.state[parameter].items()}
    return found


@pytest.mark.parametrize("tied", [True, False])
def test_matrices_go_to_muon_and_all_else_to_adamw(tied: bool) -> None:
    model = Transformer(ModelConfig(32, 16, 2, 16, 2, 1, 8, 24, tied_embeddings=tied), seed=3)
    optimizer = build(model, Recipe(optimizer="muon"))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        block_matrix = name.startswith("blocks.") and parameter.ndim == 2
        assert set(optimizer.state[parameter]) == (
            {"momentum", "variance"} if block_matrix else {"exp_avg", "exp_avg_sq", "step"}
        )
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))


def test_no_rate_is_no_change() -> None:
    weights, gradients, momenta = (draw(2, (4, 6), seed) for seed in range(3))
    none = torch.zeros(())
    found = update(
        weights, gradients, momenta, torch.rand(2, 4, 1), rate=none, decay=none, momentum_rate=none,
        variance_rate=none, ahead=0.9, dtype=torch.float32,
    )  # fmt: skip
    assert torch.equal(found[0], weights)
    assert torch.equal(found[1], momenta)
