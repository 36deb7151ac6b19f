from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import textus
from textus.cli.main import main
from textus.errors import ConfigError
from textus.verbs.settings import kept_settings

RUN = Path("runs/first")


@pytest.fixture
def mine(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None) -> Path:
    monkeypatch.chdir(shutil.copytree(trained, tmp_path / "mine"))
    return RUN


def test_each_context_has_its_price(mine: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in mine.iterdir() if path.is_file()}
    found = textus.plan_contexts(contexts=[32, 64, 512], settings=kept_settings(mine))
    assert [row.context_length for row in found.rows] == [32, 64, 512]
    flops = [row.flops_per_token for row in found.rows]
    speeds = [row.tokens_per_second for row in found.rows]
    assert flops == sorted(flops) and speeds == sorted(speeds, reverse=True)
    assert all(row.measured is None and row.fits for row in found.rows)
    assert {row.rows * row.context_length for row in found.rows} == {256, 512}, "a step is one window at the least"
    after = {path: path.stat().st_mtime_ns for path in mine.iterdir() if path.is_file()}
    assert after == before, "no plan and no settings of the run are replaced"


def test_it_is_tried_on_request(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(mine), "--context", "256", "--measure", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == textus.load(mine).config.num_parameters()
    for row in found["contexts"]:
        measured = row["measured"]
        assert measured["tokens_per_second"] > 0 and measured["peak_memory_bytes"] > 2**26
        product = measured["tokens_per_second"] * measured["seconds_per_million_tokens"]
        assert product == pytest.approx(1e6)
        assert row["memory_bytes"] == sum(row["memory"].values())


def test_the_table_is_for_people(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(mine), "--context", "16, 32"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1 layers x 32") and lines[1].split()[0] == "context"
    assert [line.split()[0] for line in lines[2:]] == ["16", "32"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--context", "64,many"], "`64,many` is no list of whole numbers"),
        (["--context", "64,9000000"], "a context of 9000000 tokens"),
        (["--context", "1"], "a context of 1 tokens"),
        (["--measure"], "--measure without --context"),
    ],
)
def test_what_cannot_be_is_refused(mine: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert main(["plan", str(mine), *words]) == 2
    assert said in capsys.readouterr().err


def test_contexts_are_checked_in_python_too(mine: Path) -> None:
    with pytest.raises(ConfigError, match="give contexts from 2 to"):
        textus.plan_contexts(contexts=[0], settings=kept_settings(mine))
