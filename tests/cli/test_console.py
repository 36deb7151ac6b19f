"""What a run says of itself while it works."""

from __future__ import annotations

import io
import re

import pytest

from textus.cli.console import Bars, Lines, console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_lines_and_a_terminal_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(console(), Lines)
    monkeypatch.setattr("sys.stderr", Terminal())
    assert isinstance(console(), Bars)


@pytest.mark.parametrize("kind", [Lines, Bars])
@pytest.mark.parametrize("total", [0, 8])
def test_a_task_ends_with_a_line_that_stays(
    kind: type[Lines] | type[Bars], total: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    progress = kind()
    with progress.task("read", total, "B") as task:
        task.advance(3)
        task.note("[bold] is no markup")
        progress.say("by the way")
        task.advance(5)
    last = re.sub(r"\x1b\[\d*\w", "", terminal.getvalue()).splitlines()[-1]
    assert last.startswith("read: 8 of 8 B, " if total else "read: 8 B, ")
    assert last.endswith("[bold] is no markup")
    assert "by the way\n" in terminal.getvalue()


def test_nothing_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Lines()
    with progress.task("read", 1, "B") as task:
        task.advance()
    progress.say("words")
    assert capsys.readouterr().out == ""


def test_a_task_that_fails_lets_the_error_through() -> None:
    for progress in (Lines(), Bars()):
        with pytest.raises(KeyError), progress.task("read", 1, "B"):
            raise KeyError
