"""Show where in a text a model is surprised."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from textus import storage
from textus.checkpoint.checkpoint import Checkpoint
from textus.corpus.config import CorpusConfig
from textus.evaluation import surprise as measuring
from textus.evaluation.surprise import ALTERNATIVES, MOST_TOKENS, Surprise
from textus.evaluation.surprise_page import page as page_of
from textus.progress import SILENT, Progress
from textus.verbs.load import load
from textus.verbs.material import Material, Texts


def surprise(
    model: str | Path | Checkpoint,
    texts: Texts = (),
    *,
    page: str | Path = "",
    split: str = "validation",
    most_tokens: int = MOST_TOKENS,
    alternatives: int = ALTERNATIVES,
    device: str = "cpu",
    config: CorpusConfig | Literal["run"] = "run",
    progress: Progress = SILENT,
) -> Surprise:
    """Return each token's surprise in bits, and what else was likely there; write an HTML page of it where asked.

    The first `most_tokens` tokens are read. A model that only reads both ways has each of them hidden in turn.
    """
    opened = model if isinstance(model, Checkpoint) else load(model, device=device)
    material = Material.of(opened, texts, split, config, progress)
    found = measuring.surprise(
        opened.model,
        opened.tokenizer,
        material.documents(),
        most_tokens=most_tokens,
        alternatives=alternatives,
        progress=progress,
    )
    if page:
        name = opened.directory.resolve().name
        storage.write_text(Path(page), page_of(found, opened.tokenizer, name).html())
    return found
