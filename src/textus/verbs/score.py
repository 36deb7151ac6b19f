"""Say how likely texts are to a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from textus.checkpoint.checkpoint import Checkpoint
from textus.evaluation.pseudo import Likelihood, Method, likelihood
from textus.verbs.load import load


def score(
    model: str | Path | Checkpoint,
    texts: str | Sequence[str],
    *,
    method: Method | Literal["auto"] = "auto",
    device: str = "cpu",
) -> list[Likelihood]:
    """Return ln p of each text and of its tokens.

    `method` is `causal` (from left to right), `word-l2r` (each token with the later pieces of its word hidden) or
    `original` (each token hidden alone); auto: causal where the model reads so, else word-l2r.
    """
    opened = model if isinstance(model, Checkpoint) else load(model, device=device)
    chosen = method
    if chosen == "auto":
        chosen = "causal" if "causal" in opened.config.readings else "word-l2r"
    given = [texts] if isinstance(texts, str) else texts
    return [likelihood(opened.model, opened.tokenizer, text, chosen) for text in given]
