"""The first three minutes: train, measure and sample on text that came with the installation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from textus import config as settings_module
from textus.progress import SILENT, Progress
from textus.training.plan import Plan
from textus.verbs.settings import RunSettings
from textus.verbs.train import TrainResult, train

Shown = Literal["causal", "masked", "hybrid", "diffusion"]
MINUTES = 2.5
"""Time for training; with the corpus before it and the measurements after it, the whole takes about a minute more."""


def demo_settings(corpus: Literal["sotu", "python"] = "sotu", objective: Shown = "causal") -> RunSettings:
    """Return the settings of the demonstration; each objective has a directory of its own."""
    changes = {
        "inputs": (f"demo:{corpus}",),
        "out": "runs/demo" if objective == "causal" else f"runs/demo-{objective}",
        "objective.name": objective,
        "training.minutes": MINUTES,
    }
    return settings_module.replace(RunSettings(), changes)


def demo(
    corpus: Literal["sotu", "python"] = "sotu",
    *,
    objective: Shown = "causal",
    out: str | Path = "",
    settings: RunSettings | Mapping[str, Any] | None = None,
    progress: Progress = SILENT,
    on_plan: Callable[[Plan], None] = lambda plan: None,
) -> TrainResult:
    """Train on the State of the Union addresses (`sotu`) or on this Python's own documentation and sources."""
    base = demo_settings(corpus, objective)
    if isinstance(settings, RunSettings):
        base = settings
    elif settings:
        base = settings_module.replace(base, dict(settings))
    return train(out=out, settings=base, progress=progress, on_plan=on_plan)
