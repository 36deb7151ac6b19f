"""Words and bars: with rate and time left on a terminal, plain lines into a pipe, HTML in a notebook."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from textus.cli.notebook import Cells, in_notebook
from textus.progress import Progress, Task

EVERY_SECONDS = 10.0
"""How often a plain line says how far a task is."""


def console() -> Progress:
    """Return who shows how far work is: bars on a terminal and in a notebook, lines anywhere else."""
    if in_notebook():
        return Cells()
    return Bars() if sys.stderr.isatty() else Lines()


class _Line:
    """A task that says a line now and then."""

    def __init__(self, name: str, total: float, unit: str) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done, self.words = 0.0, ""
        self.began = self.said = time.monotonic()

    def advance(self, amount: float = 1) -> None:
        self.done += amount
        if time.monotonic() - self.said >= EVERY_SECONDS:
            self.say()

    def note(self, text: str) -> None:
        self.words = text

    def say(self) -> None:
        self.said = time.monotonic()
        seconds = self.said - self.began
        rate = self.done / seconds if seconds else 0.0
        of = f" of {self.total:,.0f}" if self.total else ""
        left = f", {_clock((self.total - self.done) / rate)} left" if self.total and rate else ""
        words = f"  {self.words}" if self.words else ""
        print(f"{self.name}: {self.done:,.0f}{of} {self.unit}, {rate:,.0f}/s{left}{words}", file=sys.stderr, flush=True)


class Lines:
    """Progress as plain lines."""

    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Task]:
        """Say a line every ten seconds, and one at the end."""
        line = _Line(name, total, unit)
        yield line
        line.say()

    def say(self, text: str) -> None:
        """Print the words."""
        print(text, file=sys.stderr, flush=True)


class Bars:
    """Progress as bars with rate and time left."""

    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Task]:
        """Draw a bar until the task ends, then one line that stays."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        line = _Line(name, total, unit)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%") if total else MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}", markup=False),
        )
        with RichProgress(*columns, console=Console(stderr=True), transient=True) as bars:
            number = bars.add_task(name, total=total or None, rate="", words="")

            class Bar:
                def advance(self, amount: float = 1) -> None:
                    line.done += amount
                    rate = line.done / max(1e-9, time.monotonic() - line.began)
                    bars.update(number, advance=amount, rate=f"{rate:,.0f} {unit}/s")

                def note(self, text: str) -> None:
                    line.note(text)
                    bars.update(number, words=text)

            yield Bar()
        line.say()

    def say(self, text: str) -> None:
        """Print the words above the bars."""
        print(text, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"
