from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from textus.cli.console import Lines, console
from textus.cli.notebook import Cells, in_notebook


class Cell:
    """Keeps all that is shown in one place, as HTML at the time."""

    def __init__(self, shown: Any) -> None:
        self.shown = [shown._repr_html_()]

    def update(self, shown: Any) -> None:
        self.shown.append(shown._repr_html_())


def work(total: float) -> list[Cell]:
    cells: list[Cell] = []

    def display(shown: Any) -> Cell:
        cells.append(Cell(shown))
        return cells[-1]

    progress = Cells(display)
    with progress.task("counting", total, "numbers") as task:
        task.advance(2)
        task.note("at <b>2</b>")
    progress.say("<i>done</i>")
    return cells


@pytest.mark.parametrize("total", [3.0, 0.0])
def test_a_bar_stands_in_one_place_and_ends_as_words(total: float) -> None:
    bar, words = work(total)
    assert bar.shown[0].startswith("<div><progress") and "<progress" not in bar.shown[-1]
    assert "counting: 2" in bar.shown[-1] and "at &lt;b&gt;2&lt;/b&gt;" in bar.shown[-1]
    assert words.shown == ['<pre style="white-space:pre-wrap">&lt;i&gt;done&lt;/i&gt;</pre>']
    assert not any("\r" in shown for shown in bar.shown)


def test_work_that_fails_leaves_no_bar() -> None:
    cells: list[Cell] = []
    with pytest.raises(ZeroDivisionError), Cells(lambda shown: cells.append(Cell(shown)) or cells[-1]).task("", 0, ""):
        _ = 1 / 0
    assert "<progress" not in cells[0].shown[-1]


@pytest.mark.parametrize(
    ("shell", "expected"), [(None, False), (object(), False), (types.SimpleNamespace(kernel=1), True)]
)
def test_only_a_kernel_is_a_notebook(monkeypatch: pytest.MonkeyPatch, shell: Any, expected: bool) -> None:
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert in_notebook() is expected
    assert isinstance(console(), Cells if expected else Lines)
