"""A small encoder with random weights, and texts that one word makes harmful."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from textus.checkpoint.checkpoint import write_model
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.tokenizer.alphabet import BYTES
from textus.tokenizer.content import SPECIAL_TOKENS, trained
from textus.tokenizer.tokenizer import Tokenizer

SHAPE: dict[str, Any] = {
    "vocab_size": 260,
    "context_length": 48,
    "num_layers": 2,
    "hidden_size": 32,
    "num_heads": 2,
    "num_kv_heads": 2,
    "head_size": 16,
    "intermediate_size": 48,
    "attention": "bidirectional",
    "prediction_offset": 0,
    "family": "modernbert",
}
QUICK: dict[str, Any] = {
    "training.epochs": 4,
    "training.batch_size": 8,
    "training.learning_rates": [3e-3],
    "training.precision": "fp32",
    "training.device": "cpu",
    "training.threads": 1,
    "training.dropout": 0.0,
    "false_alarms": 0.1,
}


@pytest.fixture
def shape() -> dict[str, Any]:
    """Return the shape of the encoder."""
    return dict(SHAPE)


@pytest.fixture
def quick() -> dict[str, Any]:
    """Return settings of a lesson that takes seconds."""
    return dict(QUICK)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of an encoder that reads bytes."""
    names = [*SPECIAL_TOKENS, *sorted(BYTES)]
    tokenizer = Tokenizer(trained({name: token for token, name in enumerate(names)}, []))
    directory = tmp_path_factory.mktemp("encoder")
    model = Transformer(ModelConfig(**SHAPE), seed=3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and not name.endswith(("query.weight", "key.weight")):
                parameter.mul_(4)  # but for those by which an encoder's heads look beside their place already
    write_model(directory, model, tokenizer, {})
    return directory


def _texts(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Every fourth is of hate, every fourth of violence; of every seventh nobody has said whether it is violent."""
    draw, rows = random.Random(seed), []
    for number in range(count):
        word = ("zzz", "cloth", "kkk", "thread")[number % 4]
        labels = {"hate": number % 4 == 0, "violence": number % 4 == 2}
        if number % 7 == 0:
            del labels["violence"]
        rows.append({"text": f"{draw.choice('abcdefgh')} {word} {number}", "labels": labels})
    return rows


@pytest.fixture(scope="session")
def texts() -> Callable[..., list[dict[str, Any]]]:
    """Make examples."""
    return _texts


@pytest.fixture(scope="session")
def learnt(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a guard that was taught, and what it came to."""
    import textus

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("guard")
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, _texts(160))))
    found = textus.adapt(encoder, folder / "train.jsonl", method="moderate", out=folder / "guard", settings=QUICK)
    torch.set_num_threads(before)
    return found
