"""What makes a site of the pages: places in the navigation, links, the help of commands; MkDocs is not needed here."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import textus
from textus.cli.main import VERBS

ROOT = Path(__file__).parents[1]
if not (ROOT / "docs" / "site.py").is_file():
    pytest.skip("no docs/ here: this is not a checkout", allow_module_level=True)


@pytest.fixture(scope="module")
def site() -> Any:
    spec = importlib.util.spec_from_file_location("textus_site", ROOT / "docs" / "site.py")
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_a_page_that_only_the_map_names_stands_behind_the_one_before_it(site: Any) -> None:
    pages = site._MAPPED.findall((ROOT / "docs" / "index.md").read_text("utf-8"))
    config = SimpleNamespace(nav=[{"Start": ["index.md", {"First": pages[0]}]}, {"More": [pages[-1]]}])
    site.on_config(config)
    names = [part if isinstance(part, str) else part["First"] for part in config.nav[0]["Start"]]
    assert names == ["index.md", *pages[:-1]] and config.nav[1]["More"] == [pages[-1]]


def test_every_page_has_a_place_in_the_navigation_or_in_the_map(site: Any) -> None:
    named = set(re.findall(r"[\w/]+\.md", (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]))
    named |= set(site._MAPPED.findall((ROOT / "docs" / "index.md").read_text("utf-8")))
    there = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert there <= named


@pytest.mark.parametrize(
    ("place", "link", "turned"),
    [
        ("model.md", "[a](windows.md)", "[a](windows.md)"),
        ("model.md", "[a](../benchmarks/RESULTS.md)", "[a](results.md)"),
        ("concepts/context.md", "[a](../../benchmarks/RESULTS.md)", "[a](../results.md)"),
        ("concepts/context.md", "![a](../figures/context.svg)", "![a](../figures/context.svg)"),
        ("concepts/context.md", "[a](../model.md#cost)", "[a](../model.md#cost)"),
        ("contributing.md", "[a](docs/architecture.md)", "[a](architecture.md)"),
        ("contributing.md", "[a](examples)", "a"),
        ("model.md", "[a](https://example.org/x.md)", "[a](https://example.org/x.md)"),
        ("model.md", "```\n[a](../x.md)\n```", "```\n[a](../x.md)\n```"),
    ],
)
def test_links_between_files_become_links_between_pages(site: Any, place: str, link: str, turned: str) -> None:
    page = SimpleNamespace(file=SimpleNamespace(src_uri=place))
    assert site.on_page_markdown(f"before\n\n{link}\n", page) == f"before\n\n{turned}\n"


def test_the_reference_has_every_verb_and_every_public_name(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    commands, python = site._commands(), site._python()
    for verb in VERBS:
        assert f"## textus {verb}\n" in commands and f"usage: textus {verb}" in commands
    assert re.findall(r"(?m)^::: textus\.(\S+)", python) == [
        f"{textus._PLACES[name]}.{name}" for name in sorted(textus._PLACES, key=lambda name: not name[0].islower())
    ]
