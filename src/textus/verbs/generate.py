"""Write text from a prompt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from textus import config as settings
from textus.checkpoint.checkpoint import Checkpoint
from textus.decoding.config import SamplingConfig
from textus.decoding.generate import Completion as Completion
from textus.decoding.generate import Piece, collect
from textus.decoding.generate import generate as write
from textus.decoding.strategy import strategy_of
from textus.verbs.load import load
from textus.verbs.settings import kept_settings


def stream(
    model: str | Path | Checkpoint,
    prompt: str,
    sampling: SamplingConfig | Literal["run"] = "run",
    *,
    n: int = 1,
) -> Iterator[Piece]:
    """Yield text as it is written; `n` continuations are written side by side, each piece naming its row.

    `sampling` is "run" for the run's own settings.
    """
    opened = model if isinstance(model, Checkpoint) else load(model)
    chosen = run_sampling(opened.directory) if sampling == "run" else sampling
    return write(
        opened.model,
        opened.tokenizer,
        prompt,
        strategy_of(chosen),
        max_tokens=chosen.max_tokens,
        stop=chosen.stop,
        seed=chosen.seed,
        n=n,
    )


def generate(model: str | Path | Checkpoint, prompt: str, *, n: int = 1, **sampling: Any) -> list[Completion]:
    """Return `n` continuations of a prompt; `sampling` holds fields of `SamplingConfig`, such as temperature=0.7.

    What is not given is as in the run's own settings.
    """
    directory = model.directory if isinstance(model, Checkpoint) else Path(model)
    config = settings.replace(run_sampling(directory), sampling)
    return collect(stream(model, prompt, config, n=n), n)


def run_sampling(directory: Path) -> SamplingConfig:
    """Return how a run writes unless told otherwise."""
    return kept_settings(directory).sampling
