"""Optimizers over the roles that a model declares for its parameters."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import nn

from textus.model.transformer import Transformer
from textus.training.muon import Muon, Spread
from textus.training.recipe import Recipe

DECAYED = ("matrix", "head")
"""Roles under weight decay; embeddings and norms are left to the loss."""


def build(model: Transformer, recipe: Recipe) -> torch.optim.AdamW | Muon:
    """Return the optimizer that `recipe` names, with one group of parameters for each role."""
    groups, betas = role_groups(model, recipe.weight_decay), (recipe.beta1, recipe.beta2)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=betas, eps=recipe.epsilon, fused=True)
    return Muon(
        groups,
        lr=recipe.learning_rate,
        betas=betas,
        eps=recipe.epsilon,
        momentum=recipe.momentum,
        dtype=torch.bfloat16 if recipe.precision == "bf16" else torch.float32,
        compiled=recipe.compile == "on",
        spread=_spread(model, groups),
    )


def role_groups(model: Transformer, weight_decay: float) -> list[dict[str, Any]]:
    """Return a group of parameters for each role, without those that do not learn.

    Groups carry their `role` and the `names` of their parameters in the model, by which their state is saved.
    """
    roles = model.parameter_roles()
    parameters = {name: _own(parameter) for name, parameter in model.named_parameters()}
    assert roles.keys() == parameters.keys(), "every parameter has exactly one role"
    members: dict[str, dict[str, nn.Parameter]] = defaultdict(dict)
    for name, role in roles.items():
        if parameters[name].requires_grad:
            members[role][name] = parameters[name]
    return [
        {
            "params": list(group.values()),
            "names": list(group),
            "role": role,
            "weight_decay": weight_decay if role in DECAYED else 0.0,
        }
        for role, group in members.items()
    ]


def _own(parameter: nn.Parameter) -> nn.Parameter:
    """Return what this process keeps of a parameter: all of it, or rows that share its memory."""
    if not hasattr(parameter, "to_local"):
        return parameter
    return nn.Parameter(parameter.to_local().detach())


def _spread(model: Transformer, groups: list[dict[str, Any]]) -> Spread | None:
    matrices = [name for group in groups if group["role"] == "matrix" for name in group["names"]]
    parameters = {name: model.get_parameter(name) for name in matrices}
    if not any(hasattr(parameter, "to_local") for parameter in parameters.values()):
        return None
    from textus.training.exchange import Exchange  # takes a while to import, and only runs of several need it

    return Exchange({name: parameter.shape for name, parameter in parameters.items()})
