"""A training configuration in which nothing is left to plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textus import fingerprint
from textus.config import Count, Natural, NonNegative, Positive
from textus.training import ramp
from textus.training.config import Beta, TrainConfig

HARMLESS = (
    "minutes", "start_from", "checkpoint_every", "keep_last", "saving", "recompute", "record", "tensorboard", "threads",
    "select", "parallel",
)  # fmt: skip
"""Settings that may differ between the sittings of one run: they change no weight (threads, parallel,
record: but for rounding). Where a model lies that a run starts from does not matter, what it is does."""


@dataclass(frozen=True)
class Recipe(TrainConfig):
    """Every setting of a run, each "auto" replaced by what was planned."""

    steps: Count = 1
    batch_tokens: Count = 1
    micro_batch_tokens: Count = 1
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: Positive = 1e-3
    weight_decay: NonNegative = 0.1
    beta2: Beta = 0.95
    warmup_steps: Natural = 0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    device: Literal["cpu", "cuda", "mps"] = "cpu"
    threads: Count = 1
    compile: Literal["on", "off"] = "off"
    record: Literal["on", "off"] = "off"
    recompute: Literal["off", "blocks"] = "off"
    evaluate_every: Count = 100
    evaluate_tokens: Count = 131_072
    checkpoint_every: Count = 100

    def rows(self, context_length: int) -> int:
        """Return the windows that one step learns from, the ramp at its end."""
        return max(1, round(self.batch_tokens / context_length))

    def rows_before(self, steps: int, context_length: int) -> int:
        """Return the windows that the first `steps` steps learn from together: where the next one begins."""
        rows = self.rows(context_length)
        return ramp.rows_before(steps, rows, round(self.batch_ramp * self.steps), self.batch_start)

    def micro_rows(self, context_length: int) -> int:
        """Return the windows in memory at once."""
        return max(1, min(self.rows(context_length), self.micro_batch_tokens // context_length))

    @property
    def fingerprint(self) -> str:
        """Hash the settings that decide the weights."""
        return fingerprint.of_value({name: value for name, value in vars(self).items() if name not in HARMLESS})
