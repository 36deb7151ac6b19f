"""What decides the weights of a run, as values that are hashed, kept in its checkpoints, and compared by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from textus.dataset.rows import Rows
from textus.model.config import ModelConfig
from textus.objectives.objective import Objective
from textus.training.recipe import HARMLESS, Recipe

TEXTS = {
    "training": "the training text",
    "validation": "the validation text",
    "tokenizer": "the tokenizer",
    "parent": "the model that it starts from",
}
"""Inputs by the name under which their fingerprint is kept, in words."""
_MOST_NAMED = 8


def identity(
    model: ModelConfig,
    recipe: Recipe,
    objective: Objective,
    training: Rows,
    validation: Rows,
    parent: str = "",
) -> dict[str, dict[str, Any]]:
    """Return every setting and input that decides the weights, as JSON-like values.

    `parent` is the fingerprint of the model that the run starts from.
    """
    asked: Any = objective  # every one is a dataclass, and its fields are its settings
    return {
        "model": dict(vars(model)),
        "training": {name: value for name, value in vars(recipe).items() if name not in HARMLESS},
        "objective": {"name": type(objective).__name__.lower(), **dataclasses.asdict(asked)},
        "text": {
            "training": training.split.data_fingerprint,
            "validation": validation.split.data_fingerprint,
            "tokenizer": training.split.tokenizer_fingerprint,
            **({"parent": parent} if parent else {}),
        },
    }


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name what differs between two identities, or between tables of settings, with the old and the new value.

    >>> differences({"training": {"steps": 5, "seed": 1}}, {"training": {"steps": 9, "seed": 1}})
    ['training.steps 5 -> 9']
    """
    found = []
    for section in [*old, *(name for name in new if name not in old)]:
        before, after = old.get(section, {}), new.get(section, {})
        if not isinstance(before, Mapping) or not isinstance(after, Mapping):
            continue
        for name in [*before, *(name for name in after if name not in before)]:
            was, now = before.get(name, "unset"), after.get(name, "unset")
            if was != now:
                hashed = TEXTS.get(name) if section == "text" else None
                found.append(hashed or f"{section}.{name} {_shown(was)} -> {_shown(now)}")
    return found


def named(found: list[str]) -> str:
    """Join differences into words, the first few of them where they are many.

    >>> named(["training.steps 5 -> 9", "the tokenizer"])
    'training.steps 5 -> 9, the tokenizer'
    """
    rest = len(found) - _MOST_NAMED
    return ", ".join(found[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
