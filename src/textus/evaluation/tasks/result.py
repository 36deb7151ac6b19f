"""What was measured on tasks, in words and for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textus.evaluation.estimate import Evaluation, Units
from textus.evaluation.tasks.overlap import Overlap
from textus.evaluation.tasks.tally import TaskScore


@dataclass(frozen=True)
class TaskResult:
    """What was measured on one task in one way."""

    task: str
    kind: str
    format: str
    version: int
    shots: int
    method: str
    items: int
    skipped: int
    """Items that the context does not hold, left out."""
    cut: int
    """Items whose start was left out for the same reason."""
    ties: int
    """Items whose right answer is as likely as another: each counts one half, of `n` that are equal 1/n."""
    chance: float
    """What choosing at random scores; 0 where nothing is chosen from."""
    scores: tuple[TaskScore, ...]
    groups: tuple[dict[str, Any], ...]
    overlap: Overlap | None
    """None where there is no corpus to look in."""
    tokens: int
    """Tokens that were asked or written."""
    num_bytes: int
    """Bytes of what was asked."""
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        rest = {name: value for name, value in vars(self).items() if name != "num_bytes"}
        return {
            **rest,
            "bytes": self.num_bytes,
            "scores": [score.as_dict() for score in self.scores],
            "overlap": self.overlap.as_dict() if self.overlap else None,
        }

    def lines(self) -> list[str]:
        """Say it in words."""
        how = f"{self.format}, {self.items:,} items, {self.shots} examples, by {self.method}, prompt {self.version}"
        chance = f" (chance {self.chance:.4g})" if self.chance else ""
        scores = [f"  {score}{'' if number else chance}" for number, score in enumerate(self.scores)]
        notes = [
            f"{self.ties:,} ties, each counted by its share" if self.ties else "",
            f"{self.skipped:,} items that the context does not hold were left out" if self.skipped else "",
            f"{self.cut:,} items lost their start to the context" if self.cut else "",
            str(self.overlap) if self.overlap else "",
        ]
        return [f"{self.task}: {how}", *scores, *(f"  {note}" for note in notes if note)]


@dataclass(frozen=True)
class TaskEvaluation(Evaluation):
    """What was measured on tasks, and on texts where some were given too: scores carry the name of their task."""

    tasks: tuple[TaskResult, ...] = ()

    @classmethod
    def of(cls, results: Sequence[TaskResult], texts: Evaluation | None = None) -> TaskEvaluation:
        """Put results together, behind the scores of texts."""
        scores = [score for result in results for score in result.scores]
        empty = np.zeros(0, np.int64)
        beside = texts or Evaluation(
            (), 0, 0, 0, 0.0, "errors are over items", Units("document", np.zeros(0), empty, empty)
        )
        return cls(
            **{
                **vars(beside),
                "scores": (*beside.scores, *scores),
                "tokens": beside.tokens + sum(result.tokens for result in results),
                "num_bytes": beside.num_bytes + sum(result.num_bytes for result in results),
                "seconds": beside.seconds + sum(result.seconds for result in results),
                "tasks": tuple(results),
            }
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {**super().as_dict(), "tasks": [result.as_dict() for result in self.tasks]}

    def lines(self) -> list[str]:
        """Say it in words."""
        texts = [str(score) for score in self.scores if not isinstance(score, TaskScore)]
        return [*texts, *(line for result in self.tasks for line in result.lines())]
