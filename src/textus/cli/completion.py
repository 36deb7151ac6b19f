"""`textus completion`: what a shell needs to complete our commands, made from the parsers themselves."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from textus.cli.arguments import DESCRIBE, Described, Parser, parse, setting_keys, show
from textus.cli.main import VERBS, command_of
from textus.cli.shells import bash, fish, zsh

Shell = Literal["bash", "zsh", "fish"]
_WRITERS = {"bash": bash, "zsh": zsh, "fish": fish}


@dataclass(frozen=True)
class Option:
    """An option of a verb, or its words where it has no names."""

    names: tuple[str, ...]
    words: str
    """What it does."""
    takes_value: bool
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Verb:
    """A verb as its parser describes it."""

    name: str
    words: str
    options: tuple[Option, ...]
    settings: tuple[str, ...]
    """The keys that it takes as key=value."""


def completion(shell: Shell) -> str:
    """Return the script that completes verbs, options, their values and settings in a shell."""
    return _WRITERS[shell](verbs())


def verbs() -> tuple[Verb, ...]:
    """Ask every verb for its parser."""
    keys = setting_keys()
    return tuple(_verb(name, words, keys) for name, words in VERBS.items())


def _verb(name: str, words: str, keys: Sequence[str]) -> Verb:
    try:
        command_of(name).run([DESCRIBE])
    except Described as described:
        actions = described.parser._actions
    else:
        raise AssertionError(f"textus.cli.{name} does not parse its arguments with `parse`")
    taken = " ".join(str(action.metavar) for action in actions if not action.option_strings)
    return Verb(
        name=name,
        words=words,
        options=tuple(map(_option, actions)),
        settings=tuple(key for key in keys if _takes(taken, key)),
    )


def _takes(words: str, key: str) -> bool:
    """Tell from what a parser says of its words whether a setting may stand among them."""
    return "key=value" in words and ("corpus.key=value" not in words or key.startswith("corpus."))


def _option(action: argparse.Action) -> Option:
    return Option(
        names=tuple(action.option_strings),
        words=" ".join((action.help or "").replace("%%", "%").split()),
        takes_value=action.nargs != 0,
        choices=tuple(map(str, action.choices or ())),
    )


def run(arguments: Sequence[str]) -> None:
    """Run the command."""
    made = Parser(
        prog="textus completion",
        description="Print what completes textus in a shell. bash: source <(textus completion bash), in ~/.bashrc; "
        "zsh: the same with zsh, in ~/.zshrc behind compinit; fish: textus completion fish | source, in config.fish.",
    )
    made.add_argument("shell", choices=get_args(Shell), help="the shell")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    options = parse(made, arguments)
    script = completion(options.shell)
    show(options, script.rstrip("\n"), {"shell": options.shell, "script": script})
