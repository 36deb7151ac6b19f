from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textus.config import replace
from textus.model.transformer import Transformer


@pytest.fixture(scope="session")
def causal(model: Transformer, wide: Callable[..., Transformer]) -> Transformer:
    return wide(replace(model.config, {"context_length": 160}))


@pytest.fixture(scope="module")
def context_length() -> int:
    return 160


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write lines to a file of JSON lines; a line that is text already stays as it is."""

    def written(*lines: Any, name: str = "task.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
        return path

    return written
