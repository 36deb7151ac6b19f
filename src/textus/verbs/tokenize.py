"""Learn the vocabulary of a corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textus.progress import SILENT, Progress
from textus.tokenizer.tokenizer import Tokenizer
from textus.verbs.lock import locked
from textus.verbs.settings import RunSettings, resolve
from textus.verbs.stages import Stages


def tokenize(
    inputs: str | Path | Sequence[str | Path] = (),
    *,
    out: str | Path = "",
    settings: RunSettings | Mapping[str, Any] = RunSettings(),  # noqa: B008 - frozen
    progress: Progress = SILENT,
) -> Tokenizer:
    """Learn the tokenizer of a run from its training part, or reopen it when nothing has changed."""
    resolved = resolve(inputs, out, settings)
    with locked(resolved.directory):
        return Stages(resolved, progress).tokenizer
