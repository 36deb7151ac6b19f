"""What teaching a classifier of harms can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from textus.adaptation.config import Share, SplitConfig, Tuning
from textus.config import Range, Settings


@dataclass(frozen=True)
class ModerateData(SplitConfig):
    """Where texts stand and what is known of them, in JSON lines, JSON, CSV and TSV."""

    text: str = "text"
    """The column with the text."""
    labels: str = "labels"
    """The column with what is known: {"hate": true, "violence": false}, where a category that is not named is not
    known; or a list of all that hold, where those that are not in it do not."""
    calibration_fraction: Share = 0.1
    """Share of the examples on which temperatures and thresholds are set; they choose and measure nothing else."""
    forbidden: tuple[str, ...] = ()
    """Suites to measure on later: an example that repeats one of their texts is refused."""
    too_long: Literal["refuse", "cut"] = "cut"
    """What to do about an example to learn from that is longer than the context; what is judged is read whole."""


@dataclass(frozen=True)
class ModerateSettings(Settings):
    """Teaching a model to say what is harmful in a text."""

    pooling: Literal["auto", "mean", "cls", "last"] = "auto"
    """Which state tells of the text: the mean of all, the first or the last; auto: what transformers knows for the
    model, the mean for an encoder and the last for every other."""
    false_alarms: Annotated[float, Range(0, 0.5, open_low=True)] = 0.01
    """Share of the texts without a category in which it may be found: the thresholds follow from it."""
    random_init: bool = False
    """Show beside it the same network from random weights, with learning rates of its own."""
    data: ModerateData = field(default_factory=ModerateData)
    """Examples."""
    training: Tuning = field(default_factory=lambda: Tuning(seeds=1))
    """How it is learnt."""
