"""Completion scripts in the words of three shells."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Protocol


class Option(Protocol):
    """What is asked of an option; one without names stands for the words of a verb."""

    @property
    def names(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def words(self) -> str: ...  # noqa: D102

    @property
    def takes_value(self) -> bool: ...  # noqa: D102

    @property
    def choices(self) -> tuple[str, ...]: ...  # noqa: D102


class Verb(Protocol):
    """What is asked of a verb."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def words(self) -> str: ...  # noqa: D102

    @property
    def options(self) -> Sequence[Option]: ...  # noqa: D102

    @property
    def settings(self) -> tuple[str, ...]: ...  # noqa: D102


_BASH = """\
# textus: completion for bash
_textus() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" words=""
    COMPREPLY=()
    if (( COMP_CWORD == 1 )); then
        COMPREPLY=( $(compgen -W {verbs} -- "$current") )
        return
    fi
    case "${{COMP_WORDS[1]}} $previous" in
{values}
    esac
    if [[ $current == -* ]]; then
        case "${{COMP_WORDS[1]}}" in
{options}
        esac
    elif [[ $current == *.* ]]; then
        case "${{COMP_WORDS[1]}}" in
{settings}
        esac
        compopt -o nospace 2>/dev/null
    else
        case "${{COMP_WORDS[1]}}" in
{places}
        esac
    fi
    COMPREPLY=( $(compgen -W "$words" -- "$current") )
}}
# whatever none of this completes is the name of a file
complete -o default -F _textus textus
"""

_ZSH = """\
#compdef textus
# textus: completion for zsh
_textus() {{
    if (( CURRENT == 2 )); then
        local -a verbs=(
{verbs}
        )
        _describe verb verbs
        return
    fi
    local verb=$words[2]
    shift words
    (( CURRENT-- ))
    case $verb in
{cases}
    esac
}}
compdef _textus textus
"""


def bash(verbs: Sequence[Verb]) -> str:
    """Write for bash: settings are offered from their dot on, so that they do not hide files."""
    values, options, settings, places = [], [], [], []
    for verb in verbs:
        named = [option for option in verb.options if option.names]
        for option in named:
            patterns = "|".join(f'"{verb.name} {name}"' for name in option.names)
            if option.choices:
                words = shlex.quote(" ".join(option.choices))
                values.append(f'        {patterns}) COMPREPLY=( $(compgen -W {words} -- "$current") ); return ;;')
            elif option.takes_value:
                values.append(f"        {patterns}) return ;;")
        options.append(_case(verb.name, (name for option in named for name in option.names)))
        settings += [_case(verb.name, (f"{key}=" for key in verb.settings))] if verb.settings else []
        choices = [choice for option in verb.options if not option.names for choice in option.choices]
        places += [_case(verb.name, choices)] if choices else []
    return _BASH.format(
        verbs=shlex.quote(" ".join([*(verb.name for verb in verbs), "--help", "--version"])),
        values="\n".join(values),
        options="\n".join(options),
        settings="\n".join(settings),
        places="\n".join(places),
    )


def _case(verb: str, words: Iterable[str]) -> str:
    return f"        {verb}) words={shlex.quote(' '.join(words))} ;;"


def zsh(verbs: Sequence[Verb]) -> str:
    """Write for zsh."""
    named = "\n".join(f"            {shlex.quote(f'{verb.name}:{verb.words}')}" for verb in verbs)
    return _ZSH.format(verbs=named, cases="\n".join(map(_zsh_case, verbs)))


def _zsh_case(verb: Verb) -> str:
    lines = []
    for option in verb.options:
        values = f"({' '.join(option.choices)})" if option.choices else "_files"
        if option.names:
            after = f":value:{values}" if option.takes_value else ""
            lines += [f"{name}[{_zsh_text(option.words)}]{after}" for name in option.names]
        elif verb.settings:
            keys = " ".join(f"{key}=" for key in verb.settings)
            lines.append(f"*:words:{{_files; compadd -S '' -- {keys}}}")
        else:
            lines.append(f"*:words:{values}")
    spread = " \\\n                ".join(shlex.quote(line) for line in _once(lines))
    return f"        {verb.name})\n            _arguments \\\n                {spread} ;;"


def _zsh_text(words: str) -> str:
    return re.sub(r"([\[\]:\\])", r"\\\1", words)


def _once(lines: Iterable[str]) -> list[str]:
    """Keep the first of several lines for the rest of the words: zsh takes one."""
    kept: list[str] = []
    for line in lines:
        if not (line.startswith("*:") and any(one.startswith("*:") for one in kept)):
            kept.append(line)
    return kept


def fish(verbs: Sequence[Verb]) -> str:
    """Write for fish."""
    lines = ["# textus: completion for fish"]
    for verb in verbs:
        lines.append(f"complete -c textus -n __fish_use_subcommand -f -a {verb.name} -d {_fish_text(verb.words)}")
        seen = f"complete -c textus -n '__fish_seen_subcommand_from {verb.name}'"
        for option in verb.options:
            names = "".join(f" -{'l' if name.startswith('--') else 's'} {name.lstrip('-')}" for name in option.names)
            words = f" -d {_fish_text(option.words)}" if option.words else ""
            if option.choices:
                choices = _fish_text(" ".join(option.choices))
                lines.append(f"{seen}{names}{' -x' if names else ''} -a {choices}{words}")
            elif option.names:
                lines.append(f"{seen}{names}{' -r' if option.takes_value else ''}{words}")
        if verb.settings:
            lines.append(f"{seen} -a {_fish_text(' '.join(f'{key}=' for key in verb.settings))}")
    return "\n".join(lines) + "\n"


def _fish_text(words: str) -> str:
    return "'" + words.replace("\\", "\\\\").replace("'", "\\'") + "'"
