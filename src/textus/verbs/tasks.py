"""Measure a model on tasks from local files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textus.checkpoint.checkpoint import Checkpoint
from textus.evaluation.estimate import Evaluation
from textus.evaluation.tasks.measure import Scoring, TooLong, measure_task, methods
from textus.evaluation.tasks.overlap import Lookup
from textus.evaluation.tasks.result import TaskEvaluation
from textus.evaluation.tasks.task import open_task
from textus.model.precision import Precision
from textus.progress import SILENT, Progress
from textus.verbs.contamination import corpus_beside
from textus.verbs.settings import kept_settings


def measure_tasks(
    opened: Checkpoint,
    tasks: str | Path | Sequence[str | Path],
    *,
    settings: Mapping[str, Any] | None = None,
    scoring: Scoring = "auto",
    too_long: TooLong = "refuse",
    look_in_training: bool = True,
    texts: Evaluation | None = None,
    precision: Precision = "fp32",
    progress: Progress = SILENT,
) -> TaskEvaluation:
    """Ask a model the items of tasks; `settings` are those of their descriptions that differ, such as `shots`.

    All tasks are read through before the first is asked. Beside every score stands how many of the items training has,
    and what the others score, where the run's corpus is still beside its model. `texts` were measured before.
    """
    paths = [tasks] if isinstance(tasks, str | Path) else list(tasks)
    found = [open_task(path, dict(settings or {})) for path in paths]
    corpus = corpus_beside(opened.directory) if look_in_training else None
    lookup = Lookup.of(corpus, kept_settings(opened.directory).corpus.contamination, progress) if corpus else None
    results = [
        measure_task(
            opened.model,
            opened.tokenizer,
            task,
            method,
            lookup=lookup,
            too_long=too_long,
            precision=precision,
            progress=progress,
        )
        for task in found
        for method in methods(opened.model, task, scoring)
    ]
    return TaskEvaluation.of(results, texts)
