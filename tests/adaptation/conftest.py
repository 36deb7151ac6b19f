"""Small models of every kind, and examples that can be learnt."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
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
}
KINDS: dict[str, dict[str, Any]] = {
    "encoder": {"attention": "bidirectional", "prediction_offset": 0, "family": "modernbert"},
    "untied": {
        "attention": "bidirectional",
        "prediction_offset": 0,
        "family": "modernbert",
        "tied_embeddings": False,
    },
    "hybrid": {"reads_both_ways": True},
    "causal": {},
}
SMALL: dict[str, Any] = {
    "training.epochs": 3,
    "training.seeds": 2,
    "training.batch_size": 8,
    "training.learning_rates": [3e-3],
    "training.precision": "fp32",
    "training.device": "cpu",
    "training.threads": 1,
    "training.dropout": 0.0,
    "beside.random_init": False,
}


def _bytewise() -> Tokenizer:
    names = [*SPECIAL_TOKENS, *sorted(BYTES)]
    return Tokenizer(trained({name: token for token, name in enumerate(names)}, []))


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """One token for each byte."""
    return _bytewise()


@pytest.fixture
def small() -> dict[str, Any]:
    """Settings of an adaptation that takes a second."""
    return dict(SMALL)


@pytest.fixture(scope="session")
def starts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Directories of models with random weights, by kind."""
    folder, found = tmp_path_factory.mktemp("starts"), {}
    for kind, changes in KINDS.items():
        found[kind] = folder / kind
        found[kind].mkdir()
        model = Transformer(ModelConfig(**(SHAPE | changes)), seed=3)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.dim() > 1 and not name.endswith(("query.weight", "key.weight")):
                    parameter.mul_(4)  # but for those by which an encoder's heads look beside their place already
        write_model(found[kind], model, _bytewise(), {})
    return found


def _write_lines(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def _films(count: int, seed: int = 0) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        label = number % 2
        word = ("bad", "zzz")[label]
        rows.append({"text": f"{draw.choice('abcdefgh')} {word} film {number}", "label": label})
    return rows


def _sentences(count: int, seed: int = 0) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        words = [draw.choice(["ab", "cd", "12", "PAT", "SUE"]) for _ in range(draw.randint(2, 6))]
        rows.append({"tokens": words, "tags": ["B-name" if word.isupper() else "O" for word in words]})
    return rows


@pytest.fixture(autouse=True)
def quick(one_thread: None) -> None:
    """Such small products only lose by sharing them out."""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Sequence[Any]], Path]:
    """Write rows as JSON lines to a file of one's own."""
    return lambda name, rows: _write_lines(tmp_path / name, rows)


@pytest.fixture(scope="session")
def films() -> Callable[..., list[dict[str, Any]]]:
    """Short texts whose label one word tells."""
    return _films


@pytest.fixture(scope="session")
def sentences() -> Callable[..., list[dict[str, Any]]]:
    """Words of which those in capitals are names."""
    return _sentences
