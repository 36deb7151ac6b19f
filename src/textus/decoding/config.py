"""The settings of decoding, as a command line or a settings file gives them."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from textus.config import Count, Fraction, NonNegative, Positive, Range, Settings
from textus.decoding.stop import StopFilter

MINIMUM_TEMPERATURE = 1e-5
"""Dividing by less overflows; a temperature below this means greedy."""


@dataclasses.dataclass(frozen=True)
class SamplingConfig(Settings):
    """How text is written. The filters apply in the order of the fields after `repetition_penalty`."""

    repetition_penalty: Positive = 1.0
    """Makes tokens of the prompt and of the text so far less likely; 1 changes nothing, 1.1 breaks most loops."""
    temperature: NonNegative = 0.8
    """Below 1 the text is safer, above 1 it is wilder; 0 always takes the likeliest token."""
    top_k: Count | Literal["off"] = 50
    """Draw only from this many likeliest tokens."""
    top_p: Annotated[float, Range(0, 1, open_low=True)] = 0.95
    """Draw only from the likeliest tokens that together have this probability; 1 keeps them all."""
    min_p: Fraction = 0.0
    """Draw only from tokens at least this share as likely as the likeliest; 0 keeps them all."""
    max_tokens: Count = 200
    """How many tokens to write at most."""
    seed: Annotated[int, Range(0, 2**63 - 1)] = 0
    """The same seed, prompt and model give the same text."""
    stop: tuple[str, ...] = ()
    """Writing ends before any of these strings."""

    def __post_init__(self) -> None:
        super().__post_init__()
        StopFilter(self.stop)

    def generation_config(self) -> dict[str, Any]:
        """Say the same in the words of transformers' `generation_config.json`, which applies them in the same order."""
        common: dict[str, Any] = {"do_sample": not self.is_greedy, "max_new_tokens": self.max_tokens}
        if self.repetition_penalty != 1:
            common["repetition_penalty"] = self.repetition_penalty
        if self.is_greedy:
            return common
        # transformers keeps 50 tokens where nothing is said, so "off" must be said: as 0.
        filters = {"top_k": 0 if self.top_k == "off" else self.top_k, "top_p": self.top_p}
        return {**common, "temperature": self.temperature, **filters, **({"min_p": self.min_p} if self.min_p else {})}

    @property
    def is_greedy(self) -> bool:
        """Tell whether the likeliest token is always taken."""
        return self.temperature < MINIMUM_TEMPERATURE
