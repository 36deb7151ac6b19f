"""Read, repair, deduplicate and split texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textus import storage
from textus.corpus.corpus import Corpus
from textus.progress import SILENT, Progress
from textus.verbs.lock import locked
from textus.verbs.settings import RunSettings, resolve
from textus.verbs.stages import Stages

REPORT = "corpus.html"


def clean(
    inputs: str | Path | Sequence[str | Path] = (),
    *,
    out: str | Path = "",
    settings: RunSettings | Mapping[str, Any] = RunSettings(),  # noqa: B008 - frozen
    progress: Progress = SILENT,
) -> Corpus:
    """Make the corpus of a run from files and folders of text, or reopen it when nothing has changed.

    What became of every document is told in a page beside it, `corpus.html`.
    """
    resolved = resolve(inputs, out, settings)
    with locked(resolved.directory, shared=resolved.corpus.work.world > 1):
        corpus = Stages(resolved, progress).corpus
        storage.write_text(resolved.directory / REPORT, corpus.report().html())
        return corpus
