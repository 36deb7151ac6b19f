from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import textus
from textus import config, storage
from textus.verbs.settings import kept_settings

RUN = Path("runs/first")


@pytest.fixture
def mine(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Path:
    """A finished run of one's own, with its texts."""
    monkeypatch.chdir(shutil.copytree(trained, tmp_path / "mine"))
    return RUN


def again(**changes: Any) -> textus.TrainResult:
    return textus.train(settings=config.replace(kept_settings(RUN), changes))


def hashes() -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in RUN.iterdir() if path.is_file()}


def test_a_finished_run_is_opened_again(mine: Path) -> None:
    before = hashes()
    found = again()
    assert {name for name, value in hashes().items() if before[name] != value} <= {"report.html", "report.json"}
    assert json.loads((mine / "result.json").read_text()) == json.loads(json.dumps(found.as_dict()))


def test_other_sampling_renews_samples_and_defaults_and_nothing_else(mine: Path) -> None:
    before, old = hashes(), json.loads((mine / "result.json").read_text())
    found = again(**{"sampling.temperature": 0.5, "sampling.seed": 9})
    changed = {name for name, value in hashes().items() if before[name] != value}
    assert changed - {"report.html", "report.json"} == {
        "generation_config.json",
        "manifest.json",
        "measures.json",
        "result.json",
        "run.toml",
    }
    assert json.loads((mine / "generation_config.json").read_text())["temperature"] == 0.5
    assert list(found.samples) != old["samples"]
    assert [score.as_dict() for score in found.scores] == old["scores"]
    storage.verify(mine, "checkpoint")


def test_the_report_says_what_the_others_had_seen(mine: Path) -> None:
    found = again()
    corpus = textus.Corpus.open(mine / "corpus")
    size = min(corpus.num_bytes("train"), 32 * 2**20)
    assert found.baselines["details"]["compressor_context_bytes"] == size
    words = dict(found.report.sections)["What the others had seen"].text()
    assert f"the last {size / 1e6:,.2f} MB of the training text" in words
