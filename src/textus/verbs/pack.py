"""Turn a corpus into token shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textus.dataset.tokenize import Shards
from textus.progress import SILENT, Progress
from textus.verbs.lock import locked
from textus.verbs.settings import RunSettings, resolve
from textus.verbs.stages import Stages


def pack(
    inputs: str | Path | Sequence[str | Path] = (),
    *,
    out: str | Path = "",
    settings: RunSettings | Mapping[str, Any] = RunSettings(),  # noqa: B008 - frozen
    progress: Progress = SILENT,
) -> Shards:
    """Make the token shards of a run, or reopen them when nothing has changed; windows are cut from them on the fly."""
    resolved = resolve(inputs, out, settings)
    with locked(resolved.directory):
        return Stages(resolved, progress).shards
