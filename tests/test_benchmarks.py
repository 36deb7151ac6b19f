"""What the benchmarks take from the package is there: they are run by hand, and seldom."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


def taken(tree: ast.AST) -> set[tuple[str, str]]:
    """Return the names that a program takes from modules of the package, wherever in it that is."""
    return {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "textus"
        for alias in node.names
    }


def is_there(module: str, name: str) -> bool:
    if hasattr(import_module(module), name):
        return True
    try:
        return bool(import_module(f"{module}.{name}"))
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.stem)
def test_a_benchmark_takes_what_there_is(file):
    names = taken(ast.parse(file.read_text()))
    assert [f"{module}.{name}" for module, name in sorted(names) if not is_there(module, name)] == []


def test_what_is_gone_is_seen():
    program = "from textus.corpus.split import Contents, by_document\n\ndef f():\n    import textus"
    assert [name for module, name in sorted(taken(ast.parse(program))) if not is_there(module, name)] == ["Contents"]
