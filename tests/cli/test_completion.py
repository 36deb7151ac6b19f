"""Completion knows what the parsers know, and real shells take the scripts."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import textus
from textus.cli.arguments import setting_keys
from textus.cli.completion import Shell, Verb, verbs
from textus.cli.main import VERBS, main
from textus.cli.shells import bash as bash_of
from textus.cli.shells import fish, zsh

SHELLS: tuple[Shell, ...] = ("bash", "zsh", "fish")


def shell(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"no {name} here")
    return path


@pytest.fixture(scope="module")
def known() -> dict[str, Verb]:
    return {verb.name: verb for verb in verbs()}


@pytest.fixture(scope="module")
def scripts(known: dict[str, Verb], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("completion")
    found = {name: folder / f"textus.{name}" for name in SHELLS}
    for name, write in (("bash", bash_of), ("zsh", zsh), ("fish", fish)):
        found[name].write_text(write(tuple(known.values())), "utf-8")
    return found


def test_every_verb_and_every_option_is_known(known: dict[str, Verb], capsys: pytest.CaptureFixture[str]) -> None:
    assert list(known) == list(VERBS)
    for name, verb in known.items():
        with pytest.raises(SystemExit):
            main([name, "--help"])
        shown = capsys.readouterr().out
        for option in verb.options:
            assert all(one in shown for one in option.names), (name, option)
        assert "--json" in {one for option in verb.options for one in option.names}


def test_settings_are_known_where_they_are_taken(known: dict[str, Verb]) -> None:
    taken = {name: verb.settings for name, verb in known.items()}
    assert taken["train"] == setting_keys()
    assert {key.partition(".")[0] for key in taken["evaluate"]} == {"corpus"}
    assert taken["generate"] == ()


def bash(script: Path, *words: str, folder: Path) -> set[str]:
    """What bash completes when the last word is half typed."""
    code = (
        'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _textus; '
        '[ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\\n" "${COMPREPLY[@]}"'
    )
    line = [shell("bash"), "--norc", "-c", code, "bash", str(script), "textus", *words]
    done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=folder)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["ex"], {"export"}),
        (["--v"], {"--version"}),
        (["export", "run", "--no"], {"--no-measure"}),
        (["embed", "run", "--pooling", ""], {"auto", "mean", "cls", "last"}),
        (["embed", "run", "--pooling", "l"], {"last"}),
        (["train", "training.batch_t"], {"training.batch_tokens="}),
        (["train", "te"], set()),
        (["embed", "run", "--dimensions", ""], set()),
        (["completion", ""], set(SHELLS)),
        (["nothing", "--"], set()),
    ],
    ids=lambda part: " ".join(sorted(part)),
)
def test_bash_completes(scripts: dict[str, Path], tmp_path: Path, words: Any, wanted: Any) -> None:
    assert bash(scripts["bash"], *words, folder=tmp_path) == wanted


def test_fish_completes(scripts: dict[str, Path], tmp_path: Path) -> None:
    def ask(line: str) -> set[str]:
        code = f"source {scripts['fish']}; complete -C '{line}'"
        words = [shell("fish"), "--no-config", "-c", code]
        done = subprocess.run(
            words, capture_output=True, text=True, check=True, cwd=tmp_path, env={"HOME": str(tmp_path)}
        )
        assert done.stderr == ""
        return {row.partition("\t")[0] for row in done.stdout.splitlines()}

    assert "export" in ask("textus ex")
    assert {"mean", "cls", "last"} <= ask("textus embed run --pooling ")
    assert "--no-measure" in ask("textus export --no")
    assert "training.batch_tokens=" in ask("textus train training.batch_t")


def test_zsh_takes_the_script(scripts: dict[str, Path], tmp_path: Path) -> None:
    code = f"autoload -U compinit && compinit -u -d {tmp_path}/dump && source {scripts['zsh']} && print $_comps[textus]"
    done = subprocess.run([shell("zsh"), "-f", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (done.stdout.strip(), done.stderr) == ("_textus", "")
    subprocess.run([shell("zsh"), "-n", str(scripts["zsh"])], check=True)


def test_the_command_prints_the_script(scripts: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "zsh"]) == 0
    assert capsys.readouterr().out == scripts["zsh"].read_text("utf-8")
    assert main(["completion", "bash", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["script"] == scripts["bash"].read_text("utf-8")
    assert textus.completion("fish") == scripts["fish"].read_text("utf-8")
    assert main(["completion", "csh"]) == 2
