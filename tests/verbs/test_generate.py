from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import textus
from textus.errors import ConfigError


def test_a_run_writes_as_its_settings_say_unless_told_otherwise(trained: Path) -> None:
    run = trained / "runs" / "first"
    assert "max_tokens = 12" in (run / "run.toml").read_text()
    (as_set,) = textus.generate(run, "Once")
    (as_told,) = textus.generate(run, "Once", max_tokens=3)
    assert len(as_set.tokens) in range(1, 13)
    assert as_told.tokens == as_set.tokens[:3]
    assert "".join(piece.text for piece in textus.stream(run, "Once")) == as_set.text


def test_a_model_directory_without_run_toml_writes_by_the_defaults(trained: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copy(trained / "runs" / "first" / name, tmp_path)
    (found,) = textus.generate(tmp_path, "Once")
    assert len(found.tokens) <= textus.SamplingConfig().max_tokens
    assert "".join(piece.text for piece in textus.stream(tmp_path, "Once", textus.SamplingConfig())) == found.text


def test_a_word_that_is_no_setting_is_named(trained: Path) -> None:
    with pytest.raises(ConfigError, match="no setting `temprature`") as caught:
        textus.generate(trained / "runs" / "first", "Once", temprature=0.7)
    assert "temperature" in caught.value.hint
