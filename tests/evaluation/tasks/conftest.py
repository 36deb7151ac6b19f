from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from textus.config import replace
from textus.model.transformer import Transformer


def wide(config: Any) -> Transformer:
    """A model whose weights are wide enough that its logits are far apart."""
    made = Transformer(config, seed=1).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.dim() > 1:
                parameter.mul_(8)
    return made


@pytest.fixture(scope="session")
def causal(model: Transformer) -> Transformer:
    return wide(replace(model.config, {"context_length": 160}))


@pytest.fixture(scope="session")
def hybrid(model: Transformer) -> Transformer:
    return wide(replace(model.config, {"context_length": 160, "reads_both_ways": True}))


@pytest.fixture(scope="session")
def encoder(model: Transformer) -> Transformer:
    shape = {"attention": "bidirectional", "prediction_offset": 0, "num_kv_heads": 4, "family": "modernbert"}
    return wide(type(model.config)(**{**vars(model.config), **shape, "context_length": 160}))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write lines to a file of JSON lines; a line that is text already stays as it is."""

    def written(*lines: Any, name: str = "task.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
        return path

    return written
