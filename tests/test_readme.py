"""The README is typed from top to bottom, in a folder with nothing but texts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def test_a_newcomer_can_follow_it(desk: Any) -> None:
    typed = desk.follow(README)
    assert sum(line.startswith("$ textus") for line in typed) >= 8
    assert Path("runs/first/report.html").is_file()


def test_what_make_is_told_to_make_is_there() -> None:
    targets = set(re.findall(r"^\$ make (\S+)", README.read_text("utf-8"), re.MULTILINE))
    makefile = ROOT / "Makefile"
    if not makefile.is_file():
        pytest.skip("no Makefile here: this is not a checkout")
    assert targets <= set(re.findall(r"^([\w-]+):", makefile.read_text("utf-8"), re.MULTILINE))
