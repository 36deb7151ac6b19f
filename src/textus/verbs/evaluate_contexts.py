"""Say what context buys a model, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from textus.checkpoint.checkpoint import Checkpoint
from textus.corpus.config import CorpusConfig
from textus.evaluation import contexts
from textus.evaluation.contexts import MOST_TARGETS
from textus.evaluation.lengths import Contexts
from textus.progress import SILENT, Progress
from textus.verbs.load import load
from textus.verbs.material import Material, Texts


def evaluate_contexts(
    model: str | Path | Checkpoint,
    lengths: Sequence[int],
    texts: Texts = (),
    *,
    split: str = "validation",
    extrapolate: bool = False,
    most_targets: int = MOST_TARGETS,
    device: str = "cpu",
    config: CorpusConfig | Literal["run"] = "run",
    progress: Progress = SILENT,
) -> Contexts:
    """Measure a causal model with windows of several `lengths`, each on the same tokens: loss, speed, memory.

    Only documents that are longer than the longest window take part. `extrapolate` allows windows beyond the model's
    context, with its positions stretched as training would stretch them. At most `most_targets` tokens are measured,
    chosen evenly from all.
    """
    opened = model if isinstance(model, Checkpoint) else load(model, device=device)
    material = Material.of(opened, texts, split, config, progress)
    return contexts.evaluate_contexts(
        opened.model,
        opened.tokenizer,
        material.measured,
        lengths,
        data=material.data,
        extrapolate=extrapolate,
        most_targets=most_targets,
        progress=progress,
    )
