"""A piece of work whose result is a directory, and whose completion is that directory's manifest.

Nothing else is remembered: what is there under the right key is done, whoever did it and whenever. Doing it again, here
or on another machine, gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textus import storage

KIND = "work"

Work = Callable[[Path, Any], Mapping[str, Any]]
"""Fills an empty directory from a payload, and returns facts worth reading without opening the files."""


@dataclass(frozen=True)
class Task:
    """One piece of work; it travels to other processes, so that `work` is a function of a module."""

    place: Path
    """The directory that the work fills."""
    key: str
    """Fingerprint of all that the result depends on."""
    work: Work
    payload: Any
    size: float = 1.0
    """How many bytes of text it takes to look at, about."""
    kind: str = KIND
    """What its manifest calls the result."""

    @property
    def is_done(self) -> bool:
        """Tell whether the result is there, whole."""
        return storage.is_fresh(self.place, self.kind, self.key)

    def facts(self) -> dict[str, Any]:
        """Return what the work said of its result."""
        return storage.manifest(self.place, self.kind).facts


def perform(task: Task) -> None:
    """Do a piece of work, unless its result is there."""
    if task.is_done:
        return
    with storage.new_directory(task.place) as new:
        facts = task.work(new, task.payload)
        storage.seal(new, task.kind, task.key, {}, facts)
