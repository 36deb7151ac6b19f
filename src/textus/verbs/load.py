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

Weights = Literal["stored", "int8", "bf16"]
"""As they are stored, rounded to 8 bits, which writes faster on a CPU, or to 16, which does on a GPU."""


def load(
    directory: str | Path, *, device: str = "cpu", adapter: str | Path = "", weights: Weights = "stored"
) -> Checkpoint:
    """Return the model, the tokenizer and the provenance of a run or of any model directory of ours.

    `adapter` is the directory of an adapter that the model is to hear, as `adapt` with `lora.rank` or PEFT leaves it.
    With `weights` "int8" the model cannot be trained, and what it says is a little worse; it writes faster on a CPU.
    With "bf16" it takes half the memory of what was trained in float32, and a GPU writes several times as fast;
    encoders, whose states are in float32, stay as they are.
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
            hint = f"merge it, or leave out {weights}"
            raise ConfigError("an adapter is heard by weights as they are stored", hint=hint)
        return with_adapter(opened, Path(adapter))
    if weights == "bf16" and not opened.model.traits.is_encoder:
        opened.model.to(torch.bfloat16)
    return opened if weights != "int8" else dataclasses.replace(opened, model=quantize(opened.model))
