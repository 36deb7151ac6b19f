"""Real `textus` processes that can be killed wherever a test wants, and what their runs come to."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Any

import pytest

from textus.checkpoint import training_state
from textus.training.log import OF_THE_MACHINE

MASTER = """
import contextlib, json, os, re, signal, sys
import torch._dynamo  # its optimizers load it, for two seconds
import textus.cli.train, textus.verbs.train
from textus.cli.main import main
with contextlib.suppress(ImportError):
    import pandas  # Arrow loads it where it is there

EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod"}

def watch(run, tell, place, number, fatal):
    seen = 0
    def operation(event, arguments):
        nonlocal seen
        if event not in EVENTS or not isinstance(arguments[0], str | os.PathLike):
            return
        path = os.path.abspath(arguments[0])
        if not path.startswith(run + os.sep):
            return
        told = f"{event} {path[len(run):]}"
        os.write(tell, f"{told}\\n".encode())
        if place and re.search(place, told):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), fatal)
    sys.addaudithook(operation)

for line in sys.stdin:
    run, output, operations, words, place, number, fatal = json.loads(line)
    process = os.fork()
    if process:
        print(process, flush=True)
        sys.stdin.readline()  # until then its number is not given to another
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
        continue
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for descriptor in (1, 2):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    watch(run, os.open(operations, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), place, number, fatal)
    sys.exit(main(words))
"""
"""Forks a process for each line that it reads, and says its number and how it ended. A fork is a process like any
other, but what takes Python seconds to load is there already. It can be told to kill itself before an operation on a
file: that is a moment in time which is the same on a quiet machine and on a busy one."""


CLOCKS = (*OF_THE_MACHINE, "directory")
"""What may differ between equal runs."""
TIMED = (
    "result.json",
    "metrics.jsonl",
    "training.json",
    "plan.json",
    "report.html",
    "report.json",
    "run.toml",
    "manifest.json",
)
"""Files in which such things stand."""


class Sitting:
    """One process at work in a run's directory."""

    def __init__(self, master: subprocess.Popen[str], run: Path, *order: Any) -> None:
        self._master = master
        self._output, self._operations = run.with_name(f"{run.name}.output"), run.with_name(f"{run.name}.operations")
        self._output.unlink(missing_ok=True)
        self._operations.unlink(missing_ok=True)
        self._tell(json.dumps((str(run), str(self._output), str(self._operations), *order)))
        self.process = int(self._answer())

    def _tell(self, words: str = "") -> None:
        assert self._master.stdin is not None
        self._master.stdin.write(words + "\n")
        self._master.stdin.flush()

    def _answer(self) -> str:
        assert self._master.stdout is not None
        return self._master.stdout.readline()

    def end(self) -> int:
        """Wait for its end and return its exit code, negative where a signal was its end."""
        self._tell()
        return int(self._answer())

    @property
    def words(self) -> str:
        """What it has printed."""
        return self._output.read_text()

    @property
    def operations(self) -> list[str]:
        """What it has done to files of the run, in order; nothing before it is well under way."""
        return self._operations.read_text().splitlines() if self._operations.exists() else []


class Workshop:
    """Starts processes, one at a time."""

    def __init__(self, texts: Path, settings: dict[str, Any]) -> None:
        self._texts, self._settings = texts, [f"{key}={value}" for key, value in settings.items()]
        self._master = subprocess.Popen(
            [sys.executable, "-c", MASTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def command(self, run: Path) -> list[str]:
        return ["train", str(self._texts), "-o", str(run), "--json", *self._settings]

    def begin(self, run: Path, place: str = "", number: int = 1, fatal: Signals = SIGKILL) -> Sitting:
        """Start `textus train` and do not wait.

        It sends itself `fatal` right before its operation `number` that matches `place`, a regular expression for
        lines such as `os.rename /checkpoints`.
        """
        return Sitting(self._master, run, self.command(run), place, number, int(fatal))

    def close(self) -> None:
        self._master.communicate()

    def finish(self, run: Path) -> dict[str, Any]:
        """Run the command to its end, and return all that may not depend on interruptions, to the last bit.

        The last checkpoint is looked at in the last moment that it is there: the run is killed once more for that.
        """
        found: dict[str, Any] = {}
        sitting = self.begin(run, "os.rename /checkpoints$")
        if sitting.end():
            state = max((run / "checkpoints").glob("step-*"))
            values = training_state.values(state)
            found["weights"] = _hash(state / "model.safetensors")
            found["optimizer"] = _hash(state / "training_state/optimizer.safetensors")
            found["state"] = {name: value for name, value in values.items() if name not in (*CLOCKS, "metrics_length")}
            sitting = self.begin(run)
            assert sitting.end() == 0, sitting.words
        return {**found, **self.outcome(run)}

    @staticmethod
    def outcome(run: Path) -> dict[str, Any]:
        """Return what a finished run has left, without what a clock has said."""
        result = json.loads((run / "result.json").read_text())
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        names = [path.relative_to(run).as_posix() for path in sorted(run.rglob("*")) if path.is_file()]
        return {
            "result": {name: value for name, value in result.items() if name not in CLOCKS},
            "metrics": [{name: value for name, value in line.items() if name not in CLOCKS} for line in lines],
            "names": names,
            **{name: _hash(run / name) for name in names if name not in TIMED},
        }


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Workshop]:
    """A workshop for the texts and settings of a module."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    texts = tmp_path_factory.mktemp("workshop") / "texts"
    request.module.write_texts(texts)
    opened = Workshop(texts, request.module.SETTINGS)
    yield opened
    opened.close()
