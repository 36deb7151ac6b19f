"""Every example runs, as a person would run it, and is short enough to be read."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
LONGEST = 60
SMALL = [
    *("training.steps=3", "training.threads=1", "training.batch_tokens=256", "training.evaluate_every=3"),
    *("training.evaluate_tokens=512", "model.context_length=32", "model.hidden_size=32", "model.num_layers=1"),
    "sampling.max_tokens=8",
]
ARGUMENTS = {
    "train_on_your_text.py": ["my_texts", "--out", "mine", *SMALL],
    "watch_the_loop.py": ["my_texts", "--out", "loop", "--steps", "3", "--context", "32"],
    "inspect_a_window.py": ["{run}", "--window", "3"],
    "sample_strategies.py": ["{run}", "Once upon", "--max-tokens", "6"],
    "evaluate_a_text.py": ["{run}", "notes.md", "{texts}"],
    "compare_tokenizers.py": ["{run}", "--sizes", "300", "400"],
    "mix_sources.py": ["my_texts", "notes.md", "--weights", "my_texts=3", "notes=1"],
}
SAYS = {
    "train_on_your_text.py": ["bits per byte", "xz needs", "report.html"],
    "watch_the_loop.py": ["step    3", "held out: perplexity"],
    "inspect_a_window.py": ["positions are asked", " | "],
    "sample_strategies.py": ["Greedy", "TopP(p=0.9) -> Temperature(temperature=1.3) -> Sample"],
    "compare_tokenizers.py": ["bytes per token", "400"],
    "mix_sources.py": ["my_texts: 75 of 100 windows", "window 1000000 is window"],
    "evaluate_a_text.py": ["bits/byte", "notes.md", "errors are over"],
}


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS) == set(SAYS)


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_examples_run(name: str, tmp_path: Path, trained: Path) -> None:
    path = EXAMPLES / name
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST
    for given in ("my_texts", "notes.md"):
        (tmp_path / given).symlink_to(trained / given)
    places = {"run": trained / "runs" / "first", "texts": trained / "other_texts"}
    arguments = [argument.format(**places) for argument in ARGUMENTS[name]]
    command = [sys.executable, "-W", "error", str(path), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for words in SAYS[name]:
        assert words in done.stdout


def test_the_notebook_runs_and_each_cell_shows_something(desk: Any) -> None:
    notebook = json.loads((EXAMPLES / "first_steps.ipynb").read_text("utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells), "outputs are made by whoever runs it"
    names: dict[str, Any] = {"SMALL": desk.small}
    for cell in cells:
        tree = ast.parse("".join(cell["source"]).replace("settings={", "settings={**SMALL, "))
        *before, last = tree.body
        assert isinstance(last, ast.Expr)
        exec(compile(ast.Module(before, []), "cell", "exec"), names)
        shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)._repr_html_()
        assert shown.startswith('<div class="textus">')
        assert "<table" in shown or "<pre" in shown
