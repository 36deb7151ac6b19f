"""Write text from a prompt."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from textus.checkpoint.checkpoint import Checkpoint
from textus.decoding.config import SamplingConfig
from textus.decoding.generate import Completion as Completion
from textus.decoding.generate import Piece, collect
from textus.decoding.generate import generate as write
from textus.verbs.load import load


def stream(
    model: str | Path | Checkpoint,
    prompt: str,
    sampling: SamplingConfig = SamplingConfig(),
    *,
    n: int = 1,
) -> Iterator[Piece]:
    """Yield text as it is written; `n` continuations are written side by side, each piece naming its row."""
    opened = model if isinstance(model, Checkpoint) else load(model)
    return write(
        opened.model,
        opened.tokenizer,
        prompt,
        sampling.strategy(),
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        seed=sampling.seed,
        n=n,
    )


def generate(model: str | Path | Checkpoint, prompt: str, *, n: int = 1, **sampling: Any) -> list[Completion]:
    """Return `n` continuations of a prompt; `sampling` holds fields of `SamplingConfig`, such as temperature=0.7."""
    config = dataclasses.replace(SamplingConfig(), **sampling)
    return collect(stream(model, prompt, config, n=n), n)
