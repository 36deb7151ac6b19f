from __future__ import annotations

from pathlib import Path

import pytest
import torch

import textus
from textus.errors import CheckpointError, ConfigError
from textus.verbs.load import load


@pytest.mark.parametrize("device", ["cuda:99", "mps:7", "abacus"])
def test_a_device_that_is_not_there_is_named(device: str, trained: Path) -> None:
    with pytest.raises(ConfigError, match=f"device {device}: torch finds none here"):
        textus.load(trained / "runs" / "first", device=device)


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such directory"):
        textus.load(tmp_path / "nothing")


def test_weights_of_half_the_width_are_asked_for_by_name(trained: Path) -> None:
    place = trained / "runs" / "first"
    half = load(place, weights="bf16")
    assert half.model.embedding.weight.dtype == torch.bfloat16
    assert textus.load(place).model.embedding.weight.dtype == torch.float32
    (written,) = textus.generate(half, "The", max_tokens=3)
    assert written.text
