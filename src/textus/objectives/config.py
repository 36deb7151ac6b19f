"""The settings of an objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textus.config import Settings


@dataclass(frozen=True)
class ObjectiveConfig(Settings):
    """Choose what a model is asked to predict."""

    name: Literal["causal"] = "causal"
    """`causal`: each token from those before it."""
