from __future__ import annotations

from pathlib import Path

import pytest

import textus
from textus.errors import CheckpointError, ConfigError


@pytest.mark.parametrize("device", ["cuda:99", "mps:7", "abacus"])
def test_a_device_that_is_not_there_is_named(device: str, trained: Path) -> None:
    with pytest.raises(ConfigError, match=f"device {device}: torch finds none here"):
        textus.load(trained / "runs" / "first", device=device)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such directory"):
        textus.load(tmp_path / "nothing")
