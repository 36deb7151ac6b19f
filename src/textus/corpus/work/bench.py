"""Where a stage works: one directory of results by step and key, in which nothing is made twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textus import fingerprint, storage
from textus.corpus.work.carriers import Carrier, Processes, Ranked, carry, clear_marks
from textus.corpus.work.task import Task, Work
from textus.progress import Progress

_KEY_LETTERS = 24
_WORTH_KEEPING = 8e6
"""Bytes of text, looked at by all steps together: some seconds' work."""


@dataclass(frozen=True)
class Job:
    """What a step is done with."""

    payload: Any
    key: Any
    """What the result depends on."""
    size: float
    """How many bytes of text it takes to look at, about."""


@dataclass
class Bench:
    """Have tasks done in a directory, and know which of its results were used."""

    root: Path
    carrier: Carrier
    progress: Progress
    used: set[Path] = field(default_factory=set)
    made: list[Task] = field(default_factory=list)
    """What was not there before."""

    def __post_init__(self) -> None:
        self.root = self.root.absolute()  # other processes may stand elsewhere

    def task(self, step: str, work: Work, payload: Any, key: Any, size: float = 1.0) -> Task:
        """Describe a task by its step and by what its result depends on; its place follows from both."""
        full = fingerprint.of_value([step, key])
        place = self.root / step / full[:_KEY_LETTERS]
        self.used.add(place)
        return Task(place, full, work, payload, size)

    def each(self, name: str, step: str, work: Work, jobs: Iterable[Job]) -> tuple[Path, ...]:
        """Have one step done for every payload; return the places of the results."""
        return tuple(self.do(name, [self.task(step, work, job.payload, job.key, job.size) for job in jobs]))

    def one(self, name: str, step: str, work: Work, payload: Any, key: Any) -> Path:
        """Have a step done once, on everything."""
        return self.do(name, [self.task(step, work, payload, key)])[0]

    def here(self, name: str, step: str, work: Work, jobs: Iterable[Job]) -> tuple[Path, ...]:
        """Have one step done for every payload by this process, for no other has what it takes, such as a model.

        Ranks share it: each of them has that too.
        """
        tasks = [self.task(step, work, job.payload, job.key, job.size) for job in jobs]
        carrier = self.carrier if isinstance(self.carrier, Ranked) else Processes(1)
        return tuple(self.do(name, tasks, carrier))

    def do(self, name: str, tasks: Sequence[Task], carrier: Carrier | None = None) -> list[Path]:
        """Have tasks done, those that are not; return their places."""
        self.made += [task for task in tasks if not task.is_done]
        carry(carrier or self.carrier, name, tasks, self.progress)
        return [task.place for task in tasks]

    def tidy(self) -> None:
        """Delete the results that were not used, such as those of other settings or of files that are gone."""
        clear_marks(self.root)
        for step in _folders(self.root):
            for place in _folders(step):
                if place not in self.used and not place.name.startswith("."):
                    storage.discard(place)

    def clear(self) -> None:
        """Delete all results."""
        shutil.rmtree(self.root, ignore_errors=True)

    def undo_little(self) -> None:
        """Delete what was made here, if it was so little that keeping it would save nobody time."""
        if sum(task.size for task in self.made) < _WORTH_KEEPING:
            for task in self.made:
                if task.place.parent.parent == self.root and task.place.is_dir():
                    storage.discard(task.place)
        self.prune()

    def prune(self) -> None:
        """Delete the folders in which there is nothing, as where the first step was refused."""
        for place in [*_folders(self.root), self.root]:
            with suppress(OSError):  # what is not empty stays
                place.rmdir()


def _folders(place: Path) -> Iterable[Path]:
    return [path for path in sorted(place.iterdir()) if path.is_dir()] if place.is_dir() else []
