"""Open a model directory."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import torch

from textus.checkpoint import checkpoint
from textus.checkpoint.checkpoint import Checkpoint
from textus.decoding.engine.quantize import quantize
from textus.errors import ConfigError

Weights = Literal["stored", "int8"]
"""As they are stored, or rounded to 8 bits, which writes faster on a CPU."""


def load(
    directory: str | Path, *, device: str = "cpu", adapter: str | Path = "", weights: Weights = "stored"
) -> Checkpoint:
    """Return the model, the tokenizer and the provenance of a run or of any model directory of ours.

    `adapter` is the directory of an adapter that the model is to hear, as `adapt` with `lora.rank` or PEFT leaves it.
    With `weights` "int8" the model cannot be trained, and what it says is a little worse; it writes faster on a CPU.
    Raises `CheckpointError` for a directory that is missing, damaged, or holds something else, and `ConfigError` for a
    device that is not there.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):  # torch has no error of its own for this
        raise ConfigError(f"device {device}: torch finds none here", hint="leave it out to use the CPU") from None
    opened = checkpoint.load(Path(directory), device=device)
    if str(adapter):
        # Only then is what adapts models needed.
        from textus.adaptation.hearing import with_adapter

        if weights != "stored":
            raise ConfigError("an adapter is heard by weights as they are stored", hint="merge it, or leave out int8")
        return with_adapter(opened, Path(adapter))
    return opened if weights == "stored" else dataclasses.replace(opened, model=quantize(opened.model))
