from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.training.optimizer import DECAYED, build
from textus.training.recipe import Recipe

STEPS = 7
RATE, DECAY, BETA1, BETA2, EPSILON = 3e-3, 0.1, 0.9, 0.95, 1e-8
RECIPE = Recipe(learning_rate=RATE, weight_decay=DECAY, beta1=BETA1, beta2=BETA2, epsilon=EPSILON)


def model(*, tied: bool) -> Transformer:
    return Transformer(ModelConfig(32, 16, 2, 16, 2, 1, 8, 24, tied_embeddings=tied), seed=3)


@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_is_in_one_group_and_matrices_alone_decay(tied: bool) -> None:
    network = model(tied=tied)
    optimizer = build(network, RECIPE)
    named = {name: group for group in optimizer.param_groups for name in group["names"]}
    assert named.keys() == dict(network.named_parameters()).keys()
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(named)
    for name, parameter in network.named_parameters():
        decays = parameter.ndim == 2 and not name.startswith("embedding")
        assert named[name]["weight_decay"] == (DECAY if decays else 0.0)
        assert (named[name]["role"] in DECAYED) == decays
    assert ("head.weight" in named) != tied


@pytest.mark.parametrize("tied", [True, False])
def test_updates_are_those_of_the_paper_in_double_precision(tied: bool) -> None:
    network = model(tied=tied)
    optimizer = build(network, RECIPE)
    parameters = dict(network.named_parameters())
    weights = {name: parameter.detach().double().numpy().copy() for name, parameter in parameters.items()}
    first = {name: np.zeros_like(value) for name, value in weights.items()}
    second = copy.deepcopy(first)
    generator = torch.Generator().manual_seed(0)
    for step in range(1, STEPS + 1):
        rate = RATE * step / STEPS
        for group in optimizer.param_groups:
            group["lr"] = rate
        for name, parameter in parameters.items():
            parameter.grad = torch.randn(parameter.shape, generator=generator) * 10.0 ** -(step % 3)
            gradient = parameter.grad.double().numpy()
            # Algorithm 2 of Loshchilov and Hutter (2019), decay times the learning rate.
            decay = DECAY if parameter.ndim == 2 and not name.startswith("embedding") else 0.0
            first[name] = BETA1 * first[name] + (1 - BETA1) * gradient
            second[name] = BETA2 * second[name] + (1 - BETA2) * gradient**2
            moment = first[name] / (1 - BETA1**step)
            spread = np.sqrt(second[name] / (1 - BETA2**step)) + EPSILON
            weights[name] = weights[name] * (1 - rate * decay) - rate * moment / spread
        optimizer.step()
    for name, parameter in parameters.items():
        np.testing.assert_allclose(parameter.detach().numpy(), weights[name], rtol=2e-5, atol=2e-7, err_msg=name)
