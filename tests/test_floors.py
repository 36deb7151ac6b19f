"""A module may import its own folder and the floors below, never a floor above or beside."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "textus"
GROUND = {"errors", "config", "fingerprint", "report", "storage", "temporary", "progress", "version"}
FLOORS = [
    GROUND,
    {"corpus"},
    {"tokenizer"},
    {"dataset", "model"},
    {"objectives", "checkpoint"},
    {"training", "decoding"},
    {"adaptation", "evaluation"},
    {"safety"},
    {"serving", "exporting"},
    {"verbs"},
    {"cli"},
    {"__init__", "__main__"},
]
FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}
MODULES = sorted(ROOT.rglob("*.py"))
HEAVY = {"torch", "numpy", "pyarrow", "rich", "transformers", "tokenizers", "safetensors", "ftfy", "zstandard"}
TORCH_FROM = FLOOR["dataset"]


def module_names(path: Path, root: Path) -> list[str]:
    names = list(path.relative_to(root.parent).with_suffix("").parts)
    return names[:-1] if names[-1] == "__init__" else names


def part(path: Path, root: Path = ROOT) -> str:
    """The folder, or the top-level module, that a file belongs to."""
    return path.relative_to(root).with_suffix("").parts[0]


def imports(path: Path, tree: ast.AST, root: Path = ROOT) -> Iterator[list[str]]:
    """What `tree`, from the file `path`, imports at any depth: each a dotted name as a list, with the names taken."""
    package = module_names(path, root) if path.name == "__init__.py" else module_names(path, root)[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            yield from ([*base, alias.name] for alias in node.names)


def at_import(tree: ast.Module) -> ast.Module:
    """The tree without the bodies of functions and without what only a type checker reads: what import runs."""

    class Strip(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)

    stripped = Strip().visit(tree)
    assert isinstance(stripped, ast.Module)
    return stripped


def violations(path: Path, root: Path = ROOT) -> list[str]:
    """Every rule that a file breaks, in words."""
    found, mine, tree = [], part(path, root), ast.parse(path.read_text("utf-8"))
    floor = FLOOR.get(mine)
    if floor is None:
        return [f"`{mine}` is on no floor"]
    here = module_names(path, root)
    for target in imports(path, tree, root):
        if target[0] == "textus":
            if len(target) < 2 or target[1] not in FLOOR:
                found.append(f"imports {'.'.join(target)} from the package itself")
            elif target[1] != mine and FLOOR[target[1]] >= max(floor, 1):
                found.append(f"floor {floor} imports {'.'.join(target)} of floor {FLOOR[target[1]]}")
            elif target[1] == mine and len(here) > 1 and len(target) == 3 and not _is_module(target[:3], root):
                found.append(f"imports {target[2]} from its own package, not from the sibling that defines it")
        elif floor == 0 and target[0] not in sys.stdlib_module_names:
            found.append(f"the ground imports {target[0]}, which is not in the standard library")
        elif target[0] == "torch" and floor < TORCH_FROM:
            found.append(f"floor {floor} imports torch")
    if mine in ("cli", "__init__", "__main__"):
        heavy = {target[0] for target in imports(path, at_import(tree), root)} & HEAVY
        found += [f"importing it imports {name}" for name in sorted(heavy)]
    return found


def _is_module(target: list[str], root: Path) -> bool:
    path = root.parent.joinpath(*target)
    return path.with_suffix(".py").is_file() or path.is_dir()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_point_down(path: Path) -> None:
    assert violations(path) == []


def test_no_module_imports_itself_through_others() -> None:
    graph: dict[str, set[str]] = {}
    known = {".".join(module_names(path, ROOT)) for path in MODULES}
    for path in MODULES:
        targets = imports(path, ast.parse(path.read_text("utf-8")))
        names = {".".join(target[:length]) for target in targets for length in (2, 3)}
        graph[".".join(module_names(path, ROOT))] = names & known - {"textus", ".".join(module_names(path, ROOT))}
    assert len(list(TopologicalSorter(graph).static_order())) == len(known)  # raises CycleError with the cycle


def test_a_command_is_found_without_anything_heavy() -> None:
    names = [".".join(module_names(path, ROOT)) for path in sorted((ROOT / "cli").glob("*.py"))]
    code = f"import sys, {', '.join(names)}; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/__init__.py")), ids=lambda path: path.parent.name)
def test_folders_say_what_goes_in_and_out_and_import_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert ast.get_docstring(tree)
    assert list(imports(path, tree)) == []


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [
        (
            "corpus/a.py",
            "from textus.training.loop import train",
            "floor 1 imports textus.training.loop.train of floor 5",
        ),
        ("corpus/a.py", "def f():\n    import torch", "floor 1 imports torch"),
        ("corpus/a.py", "def f():\n    from textus import model", "of floor 3"),
        ("corpus/a.py", "from ..dataset import pack", "of floor 3"),
        ("dataset/a.py", "import textus.model.config", "of floor 3"),
        ("model/a.py", "import textus", "from the package itself"),
        ("model/a.py", "from textus import load", "from the package itself"),
        ("model/a.py", "from textus.model import Transformer", "from its own package"),
        ("config.py", "import numpy", "not in the standard library"),
        ("errors.py", "from textus.corpus.document import Document", "of floor 1"),
        ("cli/a.py", "import rich.progress", "importing it imports rich"),
        ("cli/a.py", "if True:\n    import torch", "importing it imports torch"),
        ("novelty/a.py", "", "on no floor"),
    ],
)
def test_planted_violations_are_caught(tmp_path: Path, file: str, code: str, words: str) -> None:
    path = tmp_path / "textus" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    (found,) = violations(path, tmp_path / "textus")
    assert words in found


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("cli/a.py", "def run():\n    import torch"),
        ("cli/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("model/a.py", "import torch\nfrom textus.model.config import ModelConfig\nfrom textus import storage"),
        ("verbs/a.py", "from textus import config as settings\nfrom textus.version import __version__"),
    ],
)
def test_what_is_allowed_is_not_caught(tmp_path: Path, file: str, code: str) -> None:
    path = tmp_path / "textus" / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    assert violations(path, tmp_path / "textus") == []
