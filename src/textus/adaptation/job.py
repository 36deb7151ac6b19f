"""What a way of adapting is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textus.progress import SILENT, Progress
from textus.report import Report, Score, Shown


@dataclass(frozen=True)
class Job:
    """One model to be adapted, in a directory that is ours while it lasts."""

    checkpoint: Path
    """The directory of the model to begin with."""
    data: tuple[Path, ...]
    """The user's files and folders."""
    directory: Path
    """Where the adapted model goes; what stands there is of a job with the same checkpoint, data and method."""
    settings: Any
    """Of the class that the method names."""
    progress: Progress = SILENT


@dataclass(frozen=True)
class Adapted(Shown):
    """What an adaptation came to."""

    directory: Path
    method: str
    scores: tuple[Score, ...]
    """Of the model that the directory holds."""
    report: Report
    """All that was measured, with what stands beside it."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What else the method tells, as JSON-like values."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            "directory": str(self.directory),
            "method": self.method,
            "scores": [score.as_dict() for score in self.scores],
            **self.facts,
        }
