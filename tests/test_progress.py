from __future__ import annotations

import pytest

from textus.progress import SILENT, Progress


def work(progress: Progress) -> int:
    done = 0
    with progress.task("counting", 3, "numbers") as task:
        for number in range(3):
            done += number
            task.advance()
            task.advance(0.5)
            task.note(f"at {number}")
    progress.say("done")
    return done


def test_silent_work_is_work(capfd: pytest.CaptureFixture[str]) -> None:
    assert work(SILENT) == 3
    assert capfd.readouterr() == ("", "")


def test_an_error_passes_through() -> None:
    with pytest.raises(ZeroDivisionError), SILENT.task("failing", 0, ""):
        _ = 1 / 0
