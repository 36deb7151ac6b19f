"""The documentation is true: its commands and code run, its links lead somewhere, its settings are today's."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from textus.cli.main import main
from textus.training import plan

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
GENERATED = DOCS / "settings.md"
WITHOUT_COMMANDS = {DOCS / "architecture.md", DOCS / "peers.md"}
LONGEST = 120


def named(pages: list[Path]) -> Any:
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.relative_to(ROOT).as_posix())


@named([page for page in PAGES if page not in {GENERATED, *WITHOUT_COMMANDS}])
def test_what_a_page_says_runs(page: Path, desk: Any, trained: Path) -> None:
    shutil.copytree(trained / "runs", "runs")
    assert desk.follow(page)


@named([page for page in PAGES if page != GENERATED])
def test_pages_are_short(page: Path) -> None:
    assert len(page.read_text("utf-8").splitlines()) <= LONGEST


@named([page for page in PAGES if page.name != "index.md"])
def test_the_map_shows_every_page(page: Path) -> None:
    assert f"]({page.relative_to(DOCS).as_posix()})" in (DOCS / "index.md").read_text("utf-8")


@named([*PAGES, ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


@named(PAGES)
def test_files_of_the_source_that_a_page_names_are_there(page: Path) -> None:
    for path in re.findall(r"`((?:src|examples|tests|docs)/[\w./]*)`", page.read_text("utf-8")):
        assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_every_figure_is_shown_and_made_by_the_script() -> None:
    script, text = (DOCS / "figures" / "make.py").read_text("utf-8"), "".join(page.read_text("utf-8") for page in PAGES)
    for figure in (DOCS / "figures").glob("*.svg"):
        assert f"figures/{figure.name})" in text and f"def {figure.stem}(" in script
        assert figure.stat().st_size < 50_000


def test_the_settings_page_is_todays(capsys: pytest.CaptureFixture[str]) -> None:
    block = re.search(r"^```text\n(.*)^```$", GENERATED.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert block
    assert main(["train", "--settings"]) == 0
    assert block[1] == capsys.readouterr().out, "docs/settings.md is stale; its head says how to make it again"


def test_the_settings_page_can_be_made_by_its_own_recipe(tmp_path: Path) -> None:
    recipe = re.search(r"^    (\(.*)$", GENERATED.read_text("utf-8"), re.MULTILINE)
    assert recipe
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "settings.md").write_text(
        re.sub(r"(?ms)^```text\n.*^```$", "```text\nstale\n```", GENERATED.read_text("utf-8")), "utf-8"
    )
    command = recipe[1].replace("python ", f"{sys.executable} ")
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "docs" / "settings.md").read_bytes() == GENERATED.read_bytes()


def test_the_numbers_of_the_planning_page_are_the_plans() -> None:
    page = " ".join((DOCS / "planning.md").read_text("utf-8").split())
    for words in (
        f"{plan.MOST_EPOCHS} epochs",
        f"({plan.DEFAULT_MINUTES:g} minutes unless set)",
        f"(1 - {plan.RESERVE:g})",
        f"C / 6 / ({plan.BEST_EPOCHS:g} U)",
        f"N <= {plan.MOST_PARAMETERS_PER_TOKEN:g} U",
        f"{plan.EVALUATIONS} times a run",
        f"from {plan.LADDER[0][0]} wide with {plan.LADDER[0][1]} layers",
        f"to {plan.LADDER[-1][0]} wide with {plan.LADDER[-1][1]}",
    ):
        assert words in page, f"docs/planning.md should say: {words}"
