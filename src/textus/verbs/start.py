"""The model that a run goes on from, where it does not begin with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textus import fingerprint
from textus.checkpoint import checkpoint, weights
from textus.model.config import ModelConfig


@dataclass(frozen=True)
class Start:
    """A model directory, of which only the weights are not read yet."""

    directory: Path
    model: ModelConfig
    fingerprint: str
    """Hash of the weights and of what is done with them."""


def open_start(directory: Path) -> Start:
    """Look at a model directory; raise `CheckpointError` for one that is missing, damaged or of another kind."""
    model = checkpoint.read_config(directory)
    checkpoint.settled(directory)
    return Start(directory, model, weights_fingerprint(directory))


def weights_fingerprint(directory: Path) -> str:
    """Hash the weights of a model directory and what is done with them."""
    files = (directory / checkpoint.CONFIG, *weights.files(directory))
    return fingerprint.of_parts(fingerprint.of_file(file) for file in files)
