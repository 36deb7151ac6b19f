"""What every command shares: texts, a settings file and `key=value` in any order, `-o`, `--json`, `--print`."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textus import config as settings
from textus.errors import ConfigError

DESCRIBE = "\0"
"""In the place of arguments it asks a command for its parser; no shell can pass it, for words end with it."""


class Described(Exception):
    """The answer to `DESCRIBE`."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints look like all our errors."""

    def error(self, message: str) -> Any:
        """Raise a `ConfigError` instead of printing the usage."""
        raise ConfigError(f"{self.prog}: {message}", hint=f"`{self.prog} --help` shows what it takes")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Let a stdout that takes nothing be told, which argparse passes over, and a closed one take nothing."""
        print(message, end="", file=file)


def stage_parser(verb: str, words: str) -> Parser:
    """Return the parser of a command that makes a stage of a run from texts and settings."""
    made = Parser(
        prog=f"textus {verb}",
        description=words,
        epilog="`textus train --settings` lists every setting with its meaning.",
    )
    made.add_argument(
        "items",
        nargs="*",
        metavar="TEXTS | run.toml | RUN | key=value",
        help="files and folders of text, a settings file, a run's directory, or settings, in any order",
    )
    made.add_argument("-o", "--out", default="", metavar="DIR", help="the run's directory (default: runs/NAME)")
    made.add_argument("--json", action="store_true", help="one JSON object on stdout")
    made.add_argument("--print", action="store_true", dest="show", help="print the settings as TOML and stop")
    made.add_argument("--settings", action="store_true", help="list every setting with its meaning and stop")
    return made


def run_settings(options: argparse.Namespace) -> Any:
    """Return the run settings that the words on the command line mean, a settings file first, overrides last."""
    from textus.verbs.settings import FILE, RunSettings, resolve

    files: list[Path] = []
    overrides: list[str] = []
    texts: list[str] = []
    out = options.out
    for item in options.items:
        path = Path(item)
        if is_setting(item):
            overrides.append(item)
        elif path.suffix == ".toml":
            files.append(path)
        elif _is_there(path / FILE):
            files.append(path / FILE)
            out = out or item  # the file says where it was made, and it may have been moved or copied since
        else:
            texts.append(item)
    if len(files) > 1:
        raise ConfigError(f"{files[1]}: a second settings file", hint="give one, and override it with key=value")
    loaded = settings.load(RunSettings, files[0] if files else None, overrides)
    return resolve(texts, out, loaded)


def _is_there(path: Path) -> bool:
    """Tell whether a file is there, as far as we may look: reading says better what we may not."""
    try:
        return path.is_file()
    except OSError:
        return False


def override_items(base: Any, items: Sequence[str]) -> Any:
    """Apply `key=value` words to settings; anything else among them is an error."""
    return settings.override(base, *items)


def stop_early(options: argparse.Namespace) -> bool:
    """Answer `--settings` and `--print`; tell whether there was one to answer."""
    if options.settings:
        from textus.verbs.settings import RunSettings

        show(options, describe_settings(RunSettings), {"settings": listed_settings(RunSettings)})
    elif options.show:
        resolved = run_settings(options)
        show(options, settings.to_toml(resolved).rstrip("\n"), dataclasses.asdict(resolved))
    return bool(options.settings or options.show)


def describe_settings(kind: type) -> str:
    """List every setting of a class with its allowed values, its default and its meaning."""
    return "\n".join(_described(**setting) for setting in listed_settings(kind))


def setting_keys() -> tuple[str, ...]:
    """Return the keys of all settings of a run."""
    from textus.verbs.settings import RunSettings

    return tuple(str(setting["key"]) for setting in listed_settings(RunSettings))


def listed_settings(cls: type) -> list[dict[str, Any]]:
    """Return the same as JSON-like values."""
    return [
        {
            "key": key,
            "allowed": settings.words(kind),
            "default": functools.reduce(getattr, key.split("."), cls()),
            "meaning": " ".join(meaning.split()),
        }
        for key, kind, meaning in settings.keys(cls)
    ]


def _described(key: str, allowed: str, default: Any, meaning: str) -> str:
    words = textwrap.fill(meaning, 100, initial_indent="    ", subsequent_indent="    ")
    return f"{key}: {allowed}; default {json.dumps(default)}\n{words}"


def show(options: argparse.Namespace, text: str, value: dict[str, Any]) -> None:
    """Print a result: as JSON where asked, as text otherwise."""
    print(as_json(value) if options.json else text)


def as_json(value: Any) -> str:
    """Write strict JSON, which has no word for NaN and infinity: they become null.

    >>> as_json({"loss": float("nan"), "scores": [(1, float("inf"))]})
    '{"loss": null, "scores": [[1, null]]}'
    """
    is_unicode = "utf" in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    return json.dumps(_finite(value), ensure_ascii=not is_unicode, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def say(text: str) -> None:
    """Tell a person something that is not a result."""
    print(text, file=sys.stderr, flush=True)


def is_setting(item: str) -> bool:
    """Tell a `key=value` from the name of a file, which may hold the sign too: what is there is a file."""
    key, found, _ = item.partition("=")
    return bool(found) and all(part.isidentifier() for part in key.split(".")) and not Path(item).exists()


def parse(made: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse options and words in any order."""
    if list(arguments) == [DESCRIBE]:
        raise Described(made)
    return made.parse_intermixed_args(list(arguments))
