"""Open a model directory."""

from __future__ import annotations

from pathlib import Path

import torch

from textus.checkpoint import checkpoint
from textus.checkpoint.checkpoint import Checkpoint
from textus.errors import ConfigError


def load(directory: str | Path, *, device: str = "cpu") -> Checkpoint:
    """Return the model, the tokenizer and the provenance of a run or of any model directory of ours.

    Raises `CheckpointError` for a directory that is missing, damaged, or holds something else, and `ConfigError` for a
    device that is not there.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):  # torch has no error of its own for this
        raise ConfigError(f"device {device}: torch finds none here", hint="leave it out to use the CPU") from None
    return checkpoint.load(Path(directory), device=device)
