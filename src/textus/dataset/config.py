"""The settings of what is shown how often: sources in proportions, and again what a model has learnt first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from textus.config import Positive, Range, Settings
from textus.errors import ConfigError


@dataclass(frozen=True)
class MixtureConfig(Settings):
    """In what proportions the sources of a corpus are shown; without weights and at temperature 1, as they are."""

    weights: tuple[str, ...] = ()
    """How often each source is shown, each as name=weight: shares of the windows, in proportion. A name is a folder or
    file on the way to a text, or what the text's record says is its source; `others` is the rest."""
    temperature: Positive = 1.0
    """Without weights: show source i in proportion to its tokens to the power 1 / temperature; above 1, small sources
    more often than they are large."""

    @property
    def is_off(self) -> bool:
        """Tell whether the corpus is shown as it is."""
        return not self.weights and self.temperature == 1

    def parsed(self) -> dict[str, float]:
        """Return the weights by name."""
        found: dict[str, float] = {}
        for item in self.weights:
            name, _, text = item.rpartition("=")
            try:
                weight = float(text)
            except ValueError:
                weight = math.nan
            if not name or not 0 < weight < math.inf or name in found:
                raise ConfigError(
                    f"`mixture.weights` holds {item!r}",
                    hint='write each source once as "name=weight", a number above 0',
                )
            found[name] = weight
        return found


@dataclass(frozen=True)
class ReplayConfig(Settings):
    """What is shown again of the text that a model learnt first, where training goes on from one."""

    share: Annotated[float, Range(0, 1, open_high=True)] = 0.0
    """Share of the windows; 0: the new text alone."""
    texts: tuple[str, ...] = ()
    """Files and folders of it; empty: the training part of the run that the model comes from, which must still be
    beside it."""
