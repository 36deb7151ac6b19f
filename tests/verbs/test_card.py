"""The card of a trained run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import textus
from textus.errors import ConfigError, ResourceError


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained / "runs/first", tmp_path / "first")
    return tmp_path / "first"


def test_its_numbers_are_those_of_the_run(run: Path) -> None:
    made = textus.export(run, to="card", watts=60)
    text = (run / "README.md").read_text("utf-8")
    assert made.path == run / "README.md"
    for score in json.loads((run / "result.json").read_text())["scores"]:
        assert json.dumps(score["value"]) in text
    assert "documents" in text
    assert "Assumed are 60 W for the machine" in text
    assert json.loads((run / "provenance.json").read_text())["shards"] in text
    assert "\nlicense:" not in text
    textus.load(run)
    hub = pytest.importorskip("huggingface_hub")
    assert {result.metric_type for result in hub.ModelCard.load(run / "README.md").data.eval_results} >= {"loss"}


def test_what_belongs_to_another_model_is_left_out(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    result["seconds"] += 1
    (run / "result.json").write_text(json.dumps(result))
    shutil.rmtree(run / "corpus")
    textus.export(run, to="card")
    text = (run / "README.md").read_text("utf-8")
    assert "## Scores" not in text
    assert "## Text" not in text
    assert "## Training" in text


def test_a_card_that_is_there_stays_and_options_of_a_card_are_for_a_card(run: Path) -> None:
    (run / "README.md").write_text("mine")
    with pytest.raises(ResourceError, match="is there already"):
        textus.export(run, to="card")
    with pytest.raises(ConfigError, match="for the card, not for gguf"):
        textus.export(run, to="gguf", licence="mit")
    with pytest.raises(ConfigError, match="no type `f16` in the format card"):
        textus.export(run, to="card", type="f16")
    assert (run / "README.md").read_text() == "mine"
