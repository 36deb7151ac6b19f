"""The first word, the exit codes, and what no error may look like."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from textus.cli import main as module
from textus.cli.main import VERBS, main
from textus.errors import DivergenceError


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["trian", "texts"], "no verb `trian`", "did you mean `textus train`"),
        (["frobnicate"], "no verb `frobnicate`", "verbs: demo, train, clean"),
        ([""], "no verb ``", "verbs:"),
        (["texts/"], "no verb `texts/`", "verbs:"),
        (["--frobnicate"], "required: VERB", "textus --help"),
        (["--json", "train"], "required: VERB", "textus --help"),
        (["Train"], "no verb `Train`", "did you mean `textus train`"),
    ],
)
def test_what_is_no_verb_is_refused(cli: Any, words: list[str], error: str, hint: str) -> None:
    assert hint in cli(*words).refused(error).err


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_that_is_not_there_is_refused(cli: Any, verb: str) -> None:
    first = {"audit": "verify", "completion": "bash", "watermark": "detect"}.get(verb, "x")
    needed = {"adapt": ("--method", "classify"), "audit": ("x",), "export": ("--to", "gguf")}
    needed["watermark"] = ("x", "y", "--key", "z")
    more = needed | dict.fromkeys(("fill", "score", "embed"), ("some text",))
    cli(verb, first, *more.get(verb, ()), "--frobnicate").refused(rf"textus {verb}: .*frobnicate")


def test_no_words_print_the_help(cli: Any) -> None:
    assert cli().done().out.startswith("usage: textus")


def _failing(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    class Command:
        @staticmethod
        def run(words: list[str]) -> None:
            raise error

    monkeypatch.setattr(module.importlib, "import_module", lambda name: Command)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (DivergenceError("the loss is not a number", hint="lower the rate"), 1, "^the loss is not a number$"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (module.Terminated(), 143, "interrupted"),
        (MemoryError(), 2, "not enough memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 GB"), 2, "not enough memory"),
        (FileNotFoundError(2, "No such file or directory", "a/b"), 2, "a/b: No such file or directory"),
        (ZeroDivisionError("division by zero"), 70, "^unexpected ZeroDivisionError: division by zero$"),
        (ValueError("one\ntwo"), 70, "^unexpected ValueError: one$"),
        (AssertionError(), 70, "^unexpected AssertionError$"),
        (RecursionError("too deep"), 70, "^unexpected RecursionError"),
    ],
)
def test_every_error_is_a_sentence(
    cli: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    _failing(error, monkeypatch)
    outcome = cli("plan").refused(words, code)
    assert (code == 70) == ("--traceback" in outcome.err)


def test_an_unforeseen_error_shows_where_it_was_when_asked(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(ZeroDivisionError(), monkeypatch)
    for words in (["plan", "--traceback"], ["--traceback", "plan", "x"], ["plan", "x", "--traceback", "y"]):
        with pytest.raises(ZeroDivisionError):
            cli(*words)
    cli("plan", "--", "--traceback").refused("unexpected", 70)


def test_the_flag_changes_nothing_about_a_users_mistake(cli: Any) -> None:
    cli("train", "nowhere", "--traceback").refused("nowhere: no such file")


def test_names_cannot_steer_the_terminal(cli: Any) -> None:
    cli("inspect", "a\n\x1b[31mb\N{RIGHT-TO-LEFT OVERRIDE}").refused(r"^a\\n\\x1b\[31mb\\u202e: no such file")


PRINTING = pytest.mark.parametrize(
    ("words", "unbuffered"),
    [("--help", ""), ("--help", "1"), ("train --help", ""), ("--version", "1"), ("train --settings", "1")],
)


def _printed(cli: Any, words: str, unbuffered: str, stdout: Any) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    outcome = cli.process(*words.split(), capture_output=False, stdout=stdout, stderr=subprocess.PIPE, env=environment)
    return outcome.code, outcome.err


@PRINTING
def test_a_reader_who_leaves_early_is_no_error(words: str, unbuffered: str, cli: Any) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    assert _printed(cli, words, unbuffered, writing) == (141, "")
    os.close(writing)


@PRINTING
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_stdout_is_told(words: str, unbuffered: str, cli: Any) -> None:
    told = "error: stdout: No space left on device\n\nhint: send the output to a place that can take it\n"
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        assert _printed(cli, words, unbuffered, full) == (2, told)


@pytest.mark.parametrize("words", ["--help", "train --help", "--version"])
def test_a_closed_stdout_is_borne(words: str) -> None:
    command = f"{sys.executable} -m textus {words} >&-"
    done = subprocess.run(command, shell=True, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_terminal_without_unicode_gets_escapes(texts: Path, cli: Any) -> None:
    name = "größe 語.txt"
    (texts / name).write_text("".join(f"Grüße an alle {number}. " for number in range(90)), "utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    words = ("clean", str(texts / name), "-o", "r\N{SNOWMAN}", "--json")
    assert cli.process(*words, env=environment).done().json["directory"] == "r\N{SNOWMAN}/corpus"


def test_signals_are_handled_as_before_once_a_command_has_ended() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    main([])
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.parametrize("verb", ["clean", "tokenize"])
def test_texts_are_prepared_without_what_only_models_need(verb: str) -> None:
    """Torch costs some seconds and some hundred megabytes, in every process that prepares texts."""
    code = f"import sys, textus.verbs.{verb}, textus.cli.{verb}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
