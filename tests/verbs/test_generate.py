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


def test_a_model_directory_without_run_toml_writes_as_its_generation_config_says(trained: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json", "generation_config.json"):
        shutil.copy(trained / "runs" / "first" / name, tmp_path)
    (found,) = textus.generate(tmp_path, "Once")
    (as_run,) = textus.generate(trained / "runs" / "first", "Once")
    assert found == as_run and len(found.tokens) <= 12
    (tmp_path / "generation_config.json").write_text('{"do_sample": true, "top_k": -1}')
    with pytest.raises(ConfigError, match=r"generation_config.json: `top_k` must be"):
        textus.generate(tmp_path, "Once")


def test_a_conversation_is_answered(trained: Path) -> None:
    message = textus.Message("user", "Hello")
    answer = textus.chat(trained / "runs" / "first", [message], max_tokens=5, seed=3)
    assert answer == textus.chat(trained / "runs" / "first", [message], max_tokens=5, seed=3)
    assert len(answer.tokens) <= 5


def test_beams_and_grammars_are_arguments_like_others(trained: Path) -> None:
    run = trained / "runs" / "first"
    best, second = textus.generate(run, "Once", n=2, beams=3, max_tokens=4)
    assert best.tokens != second.tokens
    with pytest.raises(ConfigError, match="beams go with no draft"):
        textus.generate(run, "Once", beams=3, alternatives=2)


def test_a_word_that_is_no_setting_is_named(trained: Path) -> None:
    with pytest.raises(ConfigError, match="no setting `temprature`") as caught:
        textus.generate(trained / "runs" / "first", "Once", temprature=0.7)
    assert "temperature" in caught.value.hint
