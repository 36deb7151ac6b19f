"""What every command shares."""

from __future__ import annotations

import argparse
import io
import json
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.cli.arguments import as_json, is_setting, parse, run_settings, show, stage_parser

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def _nulled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nulled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_nulled(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@given(values)
def test_json_is_strict_and_else_the_same(value: Any) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    assert json.loads(as_json(value), parse_constant=refuse) == _nulled(value)


def test_json_is_ascii_where_stdout_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert as_json({"a": "é"}) == '{"a": "é"}'
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert as_json({"a": "é"}) == '{"a": "\\u00e9"}'


def test_a_result_is_shown_one_way_or_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    for is_json, wanted in ((False, "words\n"), (True, '{"value": null}\n')):
        show(argparse.Namespace(json=is_json), "words", {"value": math.inf})
        assert capsys.readouterr() == (wanted, "")


@pytest.mark.parametrize(
    ("item", "is_one"),
    [
        ("training.steps=5", True),
        ("a=b=c", True),
        ("out=", True),
        ("texts/a=b.txt", False),
        ("=5", False),
        ("a b=5", False),
        ("plain", False),
        ("1a=5", False),
    ],
)
def test_what_is_a_setting(item: str, is_one: bool) -> None:
    assert is_setting(item) == is_one


def test_a_file_that_is_there_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_setting("seed=5")
    Path("seed=5").write_text("text")
    assert not is_setting("seed=5")
    assert run_settings(parse(stage_parser("train", ""), ["seed=5"])).inputs == ("seed=5",)


def test_the_settings_are_printed_both_ways(cli: Any) -> None:
    words = ("train", "texts", "training.seed=3", "--print")
    as_toml = tomllib.loads(cli(*words).done().out)
    as_object = cli(*words, "--json").done().json
    assert as_toml == as_object
    assert as_object["training"]["seed"] == 3


def test_all_settings_are_listed_both_ways(cli: Any) -> None:
    listed = cli("train", "--settings", "--json").done().json["settings"]
    printed = cli("train", "--settings").done().out
    assert all(f"{setting['key']}: {setting['allowed']}; default " in printed for setting in listed)
    assert {"key", "allowed", "default", "meaning"} == set(listed[0])


def test_two_settings_files_and_a_missing_one_are_refused(cli: Any, texts: Path) -> None:
    cli("train", "a.toml", "b.toml").refused("b.toml: a second settings file")
    cli("train", "a.toml").refused("a.toml: No such file")
    Path("a.toml").write_bytes(b"\xff = 3")
    cli("train", "a.toml").refused("a.toml: not valid TOML")
    Path("a.toml").write_text("[training]\nsteps = 'many'")
    cli("train", "a.toml").refused("a.toml: `training.steps` must be a whole number")
    Path("a.toml").write_text("[training]\nstep = 3")
    assert "did you mean `training.steps`" in cli("train", "a.toml").refused("no setting `training.step`").err
