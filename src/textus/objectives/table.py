"""Which objectives there are: a new one is its file and a line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textus.config import Settings
from textus.objectives.causal import Causal
from textus.objectives.objective import Objective


@dataclass(frozen=True)
class ObjectiveConfig(Settings):
    """Choose what a model is asked to predict."""

    name: Literal["causal"] = "causal"
    """`causal`: each token from those before it."""

    def build(self) -> Objective:
        """Make the objective that the settings name."""
        return OBJECTIVES[self.name]()


OBJECTIVES: dict[str, type[Causal]] = {"causal": Causal}
"""Every objective by the name that settings know it by."""
