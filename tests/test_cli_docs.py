"""Every command helps, is documented, and shows its help without loading anything heavy."""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
from pathlib import Path

import pytest

import textus
from textus.cli.main import VERBS, main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
DOCS = "\n".join(page.read_text("utf-8") for page in sorted((ROOT / "docs").rglob("*.md")))
HEAVY = {"torch", "numpy", "pyarrow", "rich", "transformers", "tokenizers", "safetensors", "ftfy", "zstandard"}
COMMON = {"--help", "--json", "--out", "--print", "--settings"}


def help_of(verb: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        main([verb, "--help"])
    assert stopped.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = help_of(verb, capsys)
    assert words.startswith(f"usage: textus {verb}")
    assert "--json" in words


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_readme_and_the_docs(verb: str) -> None:
    for text in (README, DOCS):
        assert re.search(rf"(?m)(`|^\$ )textus {verb}\b", text)


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_in_the_docs(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", help_of(verb, capsys)))
    assert {option for option in options - COMMON if option not in README + DOCS} == set()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_a_function(verb: str) -> None:
    assert callable(getattr(textus, verb + "_" * keyword.iskeyword(verb)))


def test_no_page_shows_a_verb_that_is_not_there() -> None:
    shown = set(re.findall(r"(?m)^\$ textus (\w+)", README + DOCS))
    assert shown <= set(VERBS)


HELP = [[], ["--help"], ["--version"], *([verb, "--help"] for verb in VERBS)]


@pytest.mark.parametrize("arguments", HELP, ids=" ".join)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom textus.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as stopped:\n    assert not stopped.code\n"
        f"print(*sorted(set({HEAVY}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert "usage: textus" in done.stdout or done.stdout.startswith("textus ")
    assert done.stderr.split() == []
