"""The settings of decoding, as a command line or a settings file gives them."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from textus.config import Count, Fraction, NonNegative, Positive, Range, Settings
from textus.decoding.processors import (
    MINIMUM_TEMPERATURE,
    MinP,
    Processor,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopP,
)
from textus.decoding.stop import StopFilter
from textus.decoding.strategy import Greedy, Sample, Strategy


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

    def strategy(self) -> Strategy:
        """Build the steps: penalty, temperature, top-k, top-p, min-p; those that change nothing are left out.

        >>> SamplingConfig(top_k="off", repetition_penalty=1.1).strategy().describe()
        ['RepetitionPenalty(penalty=1.1)', 'Temperature(temperature=0.8)', 'TopP(p=0.95)', 'Sample']
        >>> SamplingConfig(temperature=0).strategy().describe()
        ['Greedy']
        """
        steps: list[Processor] = []
        if self.repetition_penalty != 1:
            steps.append(RepetitionPenalty(self.repetition_penalty))
        if self._greedy:
            return Greedy(*steps)
        if self.temperature != 1:
            steps.append(Temperature(self.temperature))
        if self.top_k != "off":
            steps.append(TopK(self.top_k))
        if self.top_p != 1:
            steps.append(TopP(self.top_p))
        if self.min_p:
            steps.append(MinP(self.min_p))
        return Sample(*steps)

    def generation_config(self) -> dict[str, Any]:
        """Say the same in the words of transformers' `generation_config.json`, which applies them in the same order."""
        common: dict[str, Any] = {"do_sample": not self._greedy, "max_new_tokens": self.max_tokens}
        if self.repetition_penalty != 1:
            common["repetition_penalty"] = self.repetition_penalty
        if self._greedy:
            return common
        # transformers keeps 50 tokens where nothing is said, so "off" must be said: as 0.
        filters = {"top_k": 0 if self.top_k == "off" else self.top_k, "top_p": self.top_p}
        return {**common, "temperature": self.temperature, **filters, **({"min_p": self.min_p} if self.min_p else {})}

    @property
    def _greedy(self) -> bool:
        return self.temperature < MINIMUM_TEMPERATURE
