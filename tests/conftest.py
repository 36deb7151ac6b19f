"""What all tests share: hypothesis without deadlines, and a folder in which what the documentation says is typed."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# How long one example takes on a busy machine says nothing.
settings.register_profile("textus", deadline=None, max_examples=30)
settings.register_profile("thorough", deadline=None, max_examples=500)  # make thorough
settings.load_profile("textus")

SMALL: dict[str, Any] = {
    "training.steps": 3,
    "training.threads": 1,
    "training.batch_tokens": 256,
    "training.evaluate_every": 3,
    "training.evaluate_tokens": 512,
    "model.context_length": 64,
    "model.num_layers": 1,
    "model.hidden_size": 32,
    "sampling.max_tokens": 12,
}
"""Added to every command and call that plans or trains: whatever the page says, the run takes a second or two."""
PLANNING = ("train", "plan", "ablate")
NOT_TYPED = {
    "make": "makes a virtual environment; `make test` is what runs this",
    "git": "needs a network",
    "pip": "needs a network",
    "torchrun": "starts several processes; tests/training/test_distributed.py does what it does",
    "python": "examples are run by test_examples.py, and the settings page by test_docs.py",
}
"""Commands in the documentation that no test runs, and why."""
_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Desk:
    """The current folder of a reader with some texts, who types what a page says, from top to bottom."""

    small = SMALL

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def follow(self, page: Path) -> list[str]:
        """Type every command and run every piece of Python of a page; return what was typed."""
        done = []
        for kind, block in _BLOCK.findall(page.read_text("utf-8")):
            if kind == "python":
                self.execute(block, page.name)
                done.append(block)
                continue
            for line in block.splitlines():
                assert line.startswith("$ "), f"{page.name}: a console block holds commands only: {line}"
                self.type(line[2:])
                done.append(line)
        return done

    def type(self, line: str) -> None:
        """Run a command line, and write its output to a file where it says so."""
        words = shlex.split(line, comments=True)
        if Path(words[0]).name in NOT_TYPED:
            return
        words, target = (words[:-2], Path(words[-1])) if words[-2:-1] == [">"] else (words, None)
        assert words[0] == "textus", f"who runs `{line}`?"
        arguments = words[1:]
        if arguments[0] in PLANNING and "--settings" not in arguments:
            arguments += [f"{key}={value}" for key, value in SMALL.items()]
        if arguments[0] == "serve" and "--limits" not in arguments:
            assert "--check" in arguments, f"`{line}` would never end"
            arguments += ["--port", "0"]
        from textus.cli.main import main

        self._capsys.readouterr()
        code = main(arguments)
        output = self._capsys.readouterr()
        assert code == 0, f"`{line}` ended with {code}: {output.err}"
        assert output.out.strip(), f"`{line}` said nothing"
        if target:
            target.write_text(output.out, "utf-8")

    def execute(self, code: str, name: str) -> None:
        """Run Python in a namespace of its own, with `SMALL` among the settings that it gives."""
        for needed in ("transformers", "onnxruntime", "openai"):
            if needed in code:
                pytest.importorskip(needed)
        if re.search(r"textus\.(train|plan|demo|ablate)\(", code):
            assert "settings={" in code, f"{name}: no settings to which a test could add small ones"
        code = code.replace("settings={", "settings={**SMALL, ")
        exec(compile(code, name, "exec"), {"SMALL": SMALL, "__name__": name})


def write_texts(folder: Path) -> None:
    """Put some prose that is on every machine with Python into `my_texts/`, `other_texts/` and `notes.md`."""
    from pydoc_data.topics import topics

    names = sorted(topics)
    for place, part in (("my_texts", names[:24]), ("other_texts", names[24:26])):
        (folder / place).mkdir()
        for name in part:
            (folder / place / f"{name}.txt").write_text(topics[name], "utf-8")
    (folder / "notes.md").write_text(topics[names[26]], "utf-8")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Such small products only lose by sharing them out."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], one_thread: None) -> Desk:
    """A folder with texts, and nothing else."""
    write_texts(tmp_path)
    monkeypatch.chdir(tmp_path)
    return Desk(capsys)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts and a run of them in `runs/first`, for tests that change neither."""
    import torch

    import textus

    folder = tmp_path_factory.mktemp("trained")
    write_texts(folder)
    before = torch.get_num_threads()
    with contextlib.chdir(folder):
        textus.train("my_texts/", out="runs/first", settings=SMALL)
    torch.set_num_threads(before)
    return folder


@pytest.fixture(scope="session")
def both_ways(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts and runs of them that read both ways, `runs/masked`, `runs/hybrid` and `runs/diffusion`."""
    import torch

    import textus

    folder = tmp_path_factory.mktemp("both_ways")
    write_texts(folder)
    before = torch.get_num_threads()
    with contextlib.chdir(folder):
        for name in ("masked", "hybrid", "diffusion"):
            textus.train("my_texts/", out=f"runs/{name}", settings={**SMALL, "objective.name": name})
    torch.set_num_threads(before)
    return folder


def _wide(config: Any, seed: int = 1) -> Any:
    """Make a network with weights eight times as large: what it predicts hangs on all that it reads."""
    import torch

    from textus.model.transformer import Transformer

    made = Transformer(config, seed=seed).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    return made


@pytest.fixture(scope="session")
def wide() -> Callable[..., Any]:
    """Return what makes such a network."""
    return _wide


@pytest.fixture(scope="module")
def context_length(model: Any) -> int:
    """Of `encoder` and `hybrid`; a module that needs another has a fixture of this name."""
    return int(model.config.context_length)


@pytest.fixture(scope="module")
def encoder(model: Any, context_length: int) -> Any:
    """A network of random weights in the shape of ModernBERT, over the vocabulary of `model`."""
    shape = {"attention": "bidirectional", "prediction_offset": 0, "num_kv_heads": 4, "family": "modernbert"}
    return _wide(dataclasses.replace(model.config, **shape, context_length=context_length))


@pytest.fixture(scope="module")
def hybrid(model: Any, context_length: int) -> Any:
    """The same in the shape of `model`, but reading both ways."""
    return _wide(dataclasses.replace(model.config, reads_both_ways=True, context_length=context_length))
