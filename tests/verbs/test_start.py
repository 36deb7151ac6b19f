"""Training that goes on from a model: at a longer context, on another text, and resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import textus
from textus.errors import CheckpointError, ConfigError

FIRST, SECOND = Path("runs/first"), Path("runs/second")
SMALL = {
    "training.steps": 3,
    "training.threads": 1,
    "training.batch_tokens": 256,
    "training.evaluate_tokens": 512,
    "training.start_from": str(FIRST),
    "sampling.max_tokens": 4,
}


@pytest.fixture
def mine(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Path:
    folder = shutil.copytree(trained, tmp_path / "mine")
    monkeypatch.chdir(folder)
    return folder


def again(text: str = "my_texts/", **changes: Any) -> textus.TrainResult:
    return textus.train(text, out=SECOND, settings={**SMALL, **changes})


def test_it_goes_on_at_a_longer_context(mine: Path) -> None:
    again(**{"model.context_length": 256, "training.learning_rate": 1e-12, "training.weight_decay": 0.0})
    first, second = textus.load(FIRST), textus.load(SECOND)
    assert first.config.context_length == 64
    config = second.config
    assert (config.context_length, config.rope_scaling, config.rope_factor) == (256, "yarn", 4.0)
    for name, value in first.model.state_dict().items():
        torch.testing.assert_close(second.model.state_dict()[name], value, rtol=0, atol=1e-6)
    assert second.tokenizer.fingerprint == first.tokenizer.fingerprint
    assert len(second.provenance["parent"]) == 64 and first.provenance["parent"] == ""
    (written,) = textus.generate(SECOND, "Once", max_tokens=200, seed=3)
    assert len(written.tokens) > 64 or written.finish_reason == "end"


def test_another_text_is_read_with_the_model_s_own_vocabulary(mine: Path) -> None:
    again("other_texts/", **{"corpus.minimum_split_documents": 1, "model.context_length": 32})
    first, second = textus.load(FIRST), textus.load(SECOND)
    assert second.tokenizer.fingerprint == first.tokenizer.fingerprint
    assert second.config.num_parameters() == first.config.num_parameters()
    assert any(
        not torch.equal(value, second.model.state_dict()[name]) for name, value in first.model.state_dict().items()
    )


def test_the_parent_decides_and_not_where_it_lies(mine: Path) -> None:
    again()
    before = (SECOND / "model.safetensors").read_bytes()
    FIRST.rename("runs/moved")
    again(**{"training.start_from": "runs/moved"})
    assert (SECOND / "model.safetensors").read_bytes() == before
    assert json.loads((SECOND / "training.json").read_text())["identity"]["text"]["parent"]
    again(**{"training.start_from": ""})
    assert (SECOND / "model.safetensors").read_bytes() != before


def test_what_cannot_be_begun_with_is_refused(mine: Path) -> None:
    with pytest.raises(ConfigError, match=r"model.num_layers is 2, and the model that training starts from has 1"):
        again(**{"model.num_layers": 2})
    with pytest.raises(CheckpointError, match="no such file, so this is no model's directory"):
        again(**{"training.start_from": "runs/none"})
    weights = FIRST / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        again()
    with pytest.raises(ConfigError, match="stretches positions that a model has learnt"):
        again(**{"training.start_from": "", "model.rope_scaling": "yarn"})
