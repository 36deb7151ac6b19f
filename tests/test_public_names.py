"""The names of `import textus`: few, sorted, documented, and loaded only when they are used."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import textus

NAMES = [name for name in textus.__all__ if name != "__version__"]


def test_they_are_sorted_and_listed_once() -> None:
    assert textus.__all__ == sorted(set(textus.__all__))
    assert dir(textus) == textus.__all__


def test_each_has_a_place() -> None:
    assert set(textus.__all__) == {*textus._PLACES, "__version__"}


@pytest.mark.parametrize("name", NAMES)
def test_each_loads_from_where_it_is_defined_and_says_what_it_is(name: str) -> None:
    thing = getattr(textus, name)
    assert thing.__module__ == f"textus.{textus._PLACES[name]}"
    assert thing is getattr(importlib.import_module(thing.__module__), name)
    words = thing.__doc__ or ""
    assert words and not words.startswith(f"{name}("), "the docstring that dataclasses write is none"


def test_type_checkers_are_told_the_same() -> None:
    tree = ast.parse(Path(textus.__file__).read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imported = {
        alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert imported == {name: f"textus.{place}" for name, place in textus._PLACES.items()}


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = textus.trian  # type: ignore[attr-defined]


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import sys, textus; print(*sorted(name for name in sys.modules if name.startswith('textus')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["textus", "textus.version"]
