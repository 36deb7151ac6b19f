"""Fill the blanks in a text, or write behind it in any order."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from textus.checkpoint.checkpoint import Checkpoint
from textus.decoding.fill import Filling
from textus.decoding.fill import fill as fill_blanks
from textus.decoding.fill import write as write_behind
from textus.verbs.load import load


def fill(model: str | Path | Checkpoint, text: str, *, top_k: int = 5, device: str = "cpu") -> Filling:
    """Return the `top_k` likeliest tokens for each `<mask>` in `text`, with their probabilities."""
    opened = model if isinstance(model, Checkpoint) else load(model, device=device)
    return fill_blanks(opened.model, opened.tokenizer, text, top_k)


def write(
    model: str | Path | Checkpoint,
    text: str,
    num_tokens: int,
    *,
    steps: int | Literal["auto"] = "auto",
    temperature: float = 0.0,
    seed: int = 0,
    device: str = "cpu",
) -> str:
    """Return `text` with `num_tokens` more behind it, written by unmasking them step by step."""
    opened = model if isinstance(model, Checkpoint) else load(model, device=device)
    return write_behind(
        opened.model, opened.tokenizer, text, num_tokens, steps=steps, temperature=temperature, seed=seed
    )
