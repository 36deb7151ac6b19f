"""How long work says how far it is, without knowing who listens.

Every stage takes a `Progress` and is silent by default; the command line passes one that draws bars.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, runtime_checkable


@runtime_checkable
class Task(Protocol):
    """One piece of work under way."""

    def advance(self, amount: float = 1) -> None:
        """Add `amount` of the task's unit to what is done."""
        ...

    def note(self, text: str) -> None:
        """Show a few words beside the bar, such as the present loss."""
        ...


@runtime_checkable
class Progress(Protocol):
    """Someone who is told how far the work is."""

    def task(self, name: str, total: float, unit: str) -> AbstractContextManager[Task]:
        """Open a task of `total` units (0: not known); the bar goes when the context ends."""
        ...

    def say(self, text: str) -> None:
        """Tell one line of words that stays."""
        ...


class _SilentTask:
    def advance(self, amount: float = 1) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class Silent:
    """Say nothing."""

    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Task]:
        """Open a task that nobody watches."""
        yield _SilentTask()

    def say(self, text: str) -> None:
        """Drop the words."""


SILENT: Progress = Silent()
