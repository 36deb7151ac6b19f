"""Commands as they are typed, in this process or in another, and what must hold of every refusal."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest

from textus.cli.main import main

SMALL = (
    "training.steps=2",
    "training.threads=1",
    "training.batch_tokens=256",
    "training.evaluate_tokens=512",
    "model.context_length=64",
    "model.num_layers=1",
    "model.hidden_size=32",
    "sampling.max_tokens=8",
)
NOBODY = 65534


@dataclass(frozen=True)
class Outcome:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout; strict: NaN and infinity are no JSON."""
        value = json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
        assert isinstance(value, dict)
        return value

    def done(self) -> Outcome:
        assert self.code == 0, self.err
        return self

    def refused(self, words: str, code: int = 2) -> Outcome:
        """Hold a refusal to its form: one sentence, one hint, nothing else that looks like an error, no result."""
        assert self.code == code, (self.code, self.err)
        assert "Traceback" not in self.err
        assert self.out == "", "a refusal prints no result"
        found = re.search(r"^error: (?P<error>.+)\n\nhint: (?P<hint>.+)\n\Z", self.err, re.MULTILINE)
        assert found, self.err
        assert self.err.count("error: ") == 1
        assert re.search(words, found["error"]), found["error"]
        return self


class Commands:
    """Type commands."""

    small = SMALL

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str | Path) -> Outcome:
        """Run a command in this process."""
        self._capsys.readouterr()
        code = main([str(word) for word in words])
        written = self._capsys.readouterr()
        return Outcome(code, written.out, written.err)

    def process(self, *words: str | Path, **options: Any) -> Outcome:
        """Run a command in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "textus", *map(str, words)],
            **{"capture_output": True, "timeout": 600, "check": False, **options},
        )
        return Outcome(done.returncode, (done.stdout or b"").decode(), (done.stderr or b"").decode())

    def tree(self, folder: Path) -> dict[str, str]:
        """Everything below a folder, hidden things too: equal trees hold equal files."""
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            for path in sorted(folder.rglob("*"))
        }

    @contextmanager
    def unprivileged(self) -> Iterator[None]:
        """Be somebody to whom permissions apply: root is not."""
        if os.geteuid():
            yield
            return
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], one_thread: None) -> Commands:
    return Commands(capsys)


@pytest.fixture
def desk_of_all(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder into which everybody may look, as `tmp_path` is not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    monkeypatch.chdir(folder)
    yield folder
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o777)
    shutil.rmtree(folder)


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of texts, `texts/`, in the current one."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in sorted(topics)[:20]:
        (folder / f"{name}.txt").write_text(topics[name], "utf-8")
    monkeypatch.chdir(tmp_path)
    return Path("texts")


@pytest.fixture(scope="session")
def _first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    folder = tmp_path_factory.mktemp("first_run")
    for name in sorted(topics)[:20]:
        (folder / f"{name}.txt").write_text(topics[name], "utf-8")
    before = torch.get_num_threads()
    assert main(["train", str(folder), "-o", str(folder / "run"), *SMALL]) == 0
    torch.set_num_threads(before)
    return folder / "run"


@pytest.fixture
def run(_first_run: Path, texts: Path) -> Path:
    """A finished run of one's own, `run/`, in the current folder."""
    shutil.copytree(_first_run, "run")
    return Path("run")
