"""What the words on the command line mean as settings of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from textus.cli.arguments import parse, run_settings, stage_parser
from textus.errors import ConfigError
from textus.verbs.settings import RunSettings


def meant(*words: str) -> RunSettings:
    found = run_settings(parse(stage_parser("train", ""), words))
    assert isinstance(found, RunSettings)
    return found


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's directory that was moved after it was made."""
    (tmp_path / "run.toml").write_text('inputs = ["texts"]\nout = "runs/old"\n[training]\nseed = 5\n')
    return tmp_path


def test_texts_settings_and_options_come_in_any_order() -> None:
    found = meant("training.seed=3", "a.txt", "-o", "here", "b", "model.num_layers=2")
    assert (found.inputs, found.out) == (("a.txt", "b"), "here")
    assert (found.training.seed, found.model.num_layers) == (3, 2)


def test_a_run_that_was_moved_is_gone_on_with_where_it_is(run: Path) -> None:
    found = meant(str(run), "training.minutes=2")
    assert (found.inputs, found.directory, found.training.seed) == (("texts",), run, 5)
    assert meant(str(run), "-o", "elsewhere").directory == Path("elsewhere")


def test_a_settings_file_keeps_its_own_directory(run: Path) -> None:
    assert meant(str(run / "run.toml")).directory == Path("runs/old")


def test_two_settings_files_are_one_too_many(run: Path) -> None:
    with pytest.raises(ConfigError, match="a second settings file"):
        meant(str(run), str(run / "run.toml"))
