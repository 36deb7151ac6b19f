"""Say what each source, or each document, of a text contributes to its scores."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from textus.checkpoint.checkpoint import Checkpoint
from textus.corpus.config import CorpusConfig
from textus.evaluation.estimate import Evaluation
from textus.evaluation.parts import By, Parts, parts
from textus.verbs.load import load
from textus.verbs.material import Material, Texts


def evaluate_parts(
    model: str | Path | Checkpoint,
    found: Evaluation,
    texts: Texts = (),
    *,
    by: By = "source",
    split: str = "validation",
    config: CorpusConfig | Literal["run"] = "run",
) -> Parts:
    """Cut up what `evaluate` has `found` with the same arguments, by where its documents come from or one by one."""
    opened = model if isinstance(model, Checkpoint) else load(model)
    return parts(found, Material.of(opened, texts, split, config).sources, by, found.scores[0].data)
