"""Open a model directory."""

from __future__ import annotations

from pathlib import Path

import torch

from textus.checkpoint import checkpoint
from textus.checkpoint.checkpoint import Checkpoint
from textus.errors import ConfigError


def load(directory: str | Path, *, device: str = "cpu", adapter: str | Path = "") -> Checkpoint:
    """Return the model, the tokenizer and the provenance of a run or of any model directory of ours.

    `adapter` is the directory of an adapter that the model is to hear, as `adapt` with `lora.rank` or PEFT leaves it.
    Raises `CheckpointError` for a directory that is missing, damaged, or holds something else, and `ConfigError` for a
    device that is not there.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):  # torch has no error of its own for this
        raise ConfigError(f"device {device}: torch finds none here", hint="leave it out to use the CPU") from None
    opened = checkpoint.load(Path(directory), device=device)
    if not str(adapter):
        return opened
    # Only then is what adapts models needed.
    from textus.adaptation.hearing import with_adapter

    return with_adapter(opened, Path(adapter))
