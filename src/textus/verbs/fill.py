"""Fill the blanks in a text."""

from __future__ import annotations

from pathlib import Path

from textus.checkpoint.checkpoint import Checkpoint
from textus.decoding.fill import Filling
from textus.decoding.fill import fill as fill_blanks
from textus.verbs.load import load


def fill(model: str | Path | Checkpoint, text: str, *, top_k: int = 5, device: str = "cpu") -> Filling:
    """Return the `top_k` likeliest tokens for each `<mask>` in `text`, with their probabilities."""
    opened = model if isinstance(model, Checkpoint) else load(model, device=device)
    return fill_blanks(opened.model, opened.tokenizer, text, top_k)
