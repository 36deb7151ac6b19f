"""Which objectives there are: a new one is its file, its name in the settings, and a line here."""

from __future__ import annotations

from textus.objectives.causal import Causal
from textus.objectives.config import ObjectiveConfig
from textus.objectives.objective import Objective

OBJECTIVES: dict[str, type[Causal]] = {"causal": Causal}
"""Every objective by the name that settings know it by."""


def build(config: ObjectiveConfig) -> Objective:
    """Make the objective that settings name."""
    return OBJECTIVES[config.name]()
