"""Open a model directory."""

from __future__ import annotations

from pathlib import Path

from textus.checkpoint import checkpoint
from textus.checkpoint.checkpoint import Checkpoint


def load(directory: str | Path, *, device: str = "cpu") -> Checkpoint:
    """Return the model, the tokenizer and the provenance of a run or of any model directory of ours.

    Raises `CheckpointError` for a directory that is missing, damaged, or holds something else.
    """
    return checkpoint.load(Path(directory), device=device)
