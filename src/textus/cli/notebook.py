"""Bars in a notebook: HTML that stands in one place and is replaced, since output cells keep carriage returns."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from textus.progress import Task
from textus.report import number

EVERY_SECONDS = 0.25
"""How often a bar is drawn again."""


class Handle(Protocol):
    """What shows something, and can show something else in its place."""

    def update(self, shown: Any) -> Any:
        """Show this in the place of what stood there."""
        ...


def in_notebook() -> bool:
    """Tell whether a notebook's kernel runs this; a terminal's IPython has none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


def _display(shown: Any) -> Handle:
    import IPython.display

    handle: Handle = IPython.display.display(shown, display_id=True)
    return handle


class _Bar:
    """A task as HTML; `_repr_html_` is what IPython asks for."""

    def __init__(self, name: str, total: float, unit: str) -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done, self.words, self.ended = 0.0, "", False
        self.began = time.monotonic()

    def _repr_html_(self) -> str:
        seconds = time.monotonic() - self.began
        of = f" of {number(round(self.total))}" if self.total else ""
        rate = f", {number(round(self.done / seconds))}/s" if seconds else ""
        left = f", {(self.total - self.done) / self.done * seconds:.0f} s left" if self._goes_on() else ""
        said = f"{self.name}: {number(round(self.done))}{of} {self.unit}{rate}{left}  {self.words}"
        share = f'value="{self.done:g}" max="{self.total:g}"' if self.total else ""
        bar = "" if self.ended else f"<progress {share}></progress> "
        return f"<div>{bar}{html.escape(said.rstrip())}</div>"

    def _goes_on(self) -> bool:
        return bool(self.total and self.done) and not self.ended

    def __repr__(self) -> str:
        return f"{self.name}: {self.done:,.0f} {self.unit}"


class _Words:
    """A line of words, never markup."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_html_(self) -> str:
        return f'<pre style="white-space:pre-wrap">{html.escape(self.text)}</pre>'

    def __repr__(self) -> str:
        return self.text


class Cells:
    """Progress below a cell of a notebook."""

    def __init__(self, display: Callable[[Any], Handle] = _display) -> None:
        self._display = display

    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Task]:
        """Draw a bar, again and again in the same place; a line of words is left of it."""
        bar = _Bar(name, total, unit)
        handle, drawn = self._display(bar), time.monotonic()

        class Drawn:
            def advance(self, amount: float = 1) -> None:
                nonlocal drawn
                bar.done += amount
                if time.monotonic() - drawn >= EVERY_SECONDS:
                    drawn = time.monotonic()
                    handle.update(bar)

            def note(self, text: str) -> None:
                bar.words = text

        try:
            yield Drawn()
        finally:
            bar.ended = True
            handle.update(bar)

    def say(self, text: str) -> None:
        """Show the words."""
        self._display(_Words(text))
