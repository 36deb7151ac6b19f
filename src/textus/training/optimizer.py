"""AdamW over the roles that a model declares for its parameters."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import nn

from textus.model.transformer import Transformer

DECAYED = ("matrix", "head")
"""Roles under weight decay; embeddings and norms are left to the loss."""


def adamw(
    model: Transformer, *, learning_rate: float, weight_decay: float, beta1: float, beta2: float, epsilon: float
) -> torch.optim.AdamW:
    """Return AdamW with one group of parameters for each role (Loshchilov and Hutter, 2019).

    Groups carry their `role` and the `names` of their parameters in the model, by which their state is saved.
    """
    roles = model.parameter_roles()
    parameters = dict(model.named_parameters())
    assert roles.keys() == parameters.keys(), "every parameter has exactly one role"
    members: dict[str, dict[str, nn.Parameter]] = defaultdict(dict)
    for name, role in roles.items():
        members[role][name] = parameters[name]
    groups = [
        {
            "params": list(group.values()),
            "names": list(group),
            "role": role,
            "weight_decay": weight_decay if role in DECAYED else 0.0,
        }
        for role, group in members.items()
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(beta1, beta2), eps=epsilon, fused=True)
