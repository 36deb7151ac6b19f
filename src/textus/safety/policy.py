"""What happens to each category, on the way in and on the way out: a TOML file."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

from textus import config as settings
from textus import fingerprint
from textus.config import Count, Fraction, Natural, Settings
from textus.errors import ConfigError, InputError
from textus.safety.taxonomy import ATTACKS, BLOCKLIST, CATEGORIES, HARMS

Action = Literal["allow", "score", "redact", "block"]
"""Do not look; tell, and let pass; put a placeholder in its place; let nothing pass."""
ACTIONS: tuple[Action, ...] = get_args(Action)
"""From the mildest to the most severe."""
Side = Literal["input", "output"]
SIDES: tuple[Side, ...] = get_args(Side)
Fail = Literal["closed", "open"]
DEFAULT = "default"
"""The name of the policy that comes with the package."""
_HINT = "`textus moderate --print` shows a complete policy"
_TOP = ("name", "fail", "otherwise", *SIDES, "thresholds", "windows", "blocklist")


@dataclass(frozen=True)
class Windows(Settings):
    """Say how a long text is read: `step` characters are decided at a time, with what stands before and behind them.

    Of a text that is streamed, at most `step + after` characters are held back.
    """

    step: Count = 128
    """Characters that are decided, and let go, together."""
    before: Natural = 256
    """Characters before them that are read along; text that has already been let go."""
    after: Natural = 256
    """Characters behind them that are read along; nothing longer is sure to be found before its beginning has left."""


INPUT = Windows(step=1024, before=512, after=512)
"""What comes in is there at once: long windows cost less."""
OUTPUT = Windows()


@dataclass(frozen=True)
class Blocklist:
    """The user's own words and phrases, under a name."""

    name: str
    phrases: tuple[str, ...]
    """A word or several; `*` at the end of one stands for any ending."""
    input: Action = "block"
    output: Action = "block"


@dataclass(frozen=True)
class Policy:
    """What is done with each category, and from which score on."""

    name: str
    fail: Fail
    """Where a layer breaks: `closed` blocks the text, `open` lets it pass; both are told in the verdict."""
    otherwise: Action
    """What is done with categories that the tables do not name."""
    input: Mapping[str, Action]
    output: Mapping[str, Action]
    thresholds: Mapping[str, float]
    """The score from which on a category counts as found; 0.5 where none is given."""
    blocklists: tuple[Blocklist, ...] = ()
    input_windows: Windows = INPUT
    output_windows: Windows = OUTPUT

    def action(self, category: str, side: Side) -> Action:
        """Return what is done with a category."""
        if category.startswith(BLOCKLIST):
            own = {blocklist.name: blocklist for blocklist in self.blocklists}[category.removeprefix(BLOCKLIST)]
            return own.input if side == "input" else own.output
        table = self.input if side == "input" else self.output
        return table.get(category, self.otherwise)

    def threshold(self, category: str) -> float:
        """Return the score from which on a category counts as found."""
        return self.thresholds.get(category, 0.5)

    def windows(self, side: Side) -> Windows:
        """Return how texts are read."""
        return self.input_windows if side == "input" else self.output_windows

    @property
    def fingerprint(self) -> str:
        """Hash all that the policy says, its lists included."""
        return fingerprint.of_value(json.loads(json.dumps(asdict(self))))


def severest(actions: Any) -> Action:
    """Return the most severe of actions; `allow` where there are none.

    >>> severest(["score", "block", "redact"]), severest([])
    ('block', 'allow')
    """
    return max(actions, key=ACTIONS.index, default="allow")


def default_text() -> str:
    """Return the policy of the package as it is written."""
    return resources.files("textus.safety").joinpath("default.toml").read_text("utf-8")


def load(path: str | Path = DEFAULT) -> Policy:
    """Read a policy from a TOML file; `default` is the one of the package.

    Raises `ConfigError` or `InputError` naming the file, the table and the key.
    """
    if str(path) == DEFAULT:
        return parse(default_text(), "the default policy", Path())
    path = Path(path)
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint=f"check the path of the policy; {_HINT}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}", hint="convert it with `iconv -t utf-8`") from None
    return parse(text, str(path), path.parent)


def parse(text: str, source: str, directory: Path) -> Policy:
    """Read a policy from TOML; `source` is what errors name, and lists are looked for from `directory` on."""
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source}: not valid TOML: {error}", hint=_HINT) from None
    _known(values, _TOP, "", source)
    windows = _table(values, "windows", source)
    _known(windows, SIDES, "windows.", source)
    made = {
        side: _windows(base, windows.get(side, {}), f"windows.{side}", source)
        for side, base in (("input", INPUT), ("output", OUTPUT))
    }
    longest = min(one.after for one in made.values())
    return Policy(
        name=settings.check(str, values.get("name", Path(source).stem), "name", source),
        fail=settings.check(Fail, values.get("fail", "closed"), "fail", source),
        otherwise=settings.check(Action, values.get("otherwise", "score"), "otherwise", source),
        input=_actions(values, "input", source),
        output=_actions(values, "output", source),
        thresholds=_thresholds(values, source),
        blocklists=_blocklists(_table(values, "blocklist", source), source, directory, longest),
        input_windows=made["input"],
        output_windows=made["output"],
    )


def _table(values: Mapping[str, Any], name: str, source: str) -> Mapping[str, Any]:
    table = values.get(name, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{source}: `{name}` is a table; got {table!r}", hint=f"write [{name}] and its keys below it")
    return table


def _known(values: Mapping[str, Any], allowed: Any, prefix: str, source: str) -> None:
    for key in values:
        if key not in allowed:
            close = difflib.get_close_matches(key, allowed, n=1)
            what = "category" if prefix in ("input.", "output.", "thresholds.") else "setting"
            hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(allowed)}"
            raise ConfigError(f"{source}: no {what} `{prefix}{key}`", hint=hint)


def _actions(values: Mapping[str, Any], side: Side, source: str) -> dict[str, Action]:
    table = _table(values, side, source)
    _known(table, CATEGORIES, f"{side}.", source)
    return {key: settings.check(Action, value, f"{side}.{key}", source) for key, value in table.items()}


def _thresholds(values: Mapping[str, Any], source: str) -> dict[str, float]:
    table = _table(values, "thresholds", source)
    _known(table, (*HARMS, *ATTACKS), "thresholds.", source)
    return {key: settings.check(Fraction, value, f"thresholds.{key}", source) for key, value in table.items()}


def _windows(base: Windows, values: Any, name: str, source: str) -> Windows:
    if not isinstance(values, dict):
        raise ConfigError(f"{source}: `{name}` is a table; got {values!r}", hint=_HINT)
    return settings.build(Windows, asdict(base) | values, source, f"{name}.")


def _blocklists(table: Mapping[str, Any], source: str, directory: Path, longest: int) -> tuple[Blocklist, ...]:
    found = []
    for name, values in table.items():
        dotted = f"blocklist.{name}"
        if not isinstance(values, dict):
            raise ConfigError(f"{source}: `{dotted}` is a table; got {values!r}", hint='as in words = ["secret"]')
        _known(values, ("file", "words", *SIDES), f"{dotted}.", source)
        phrases = list(settings.check(tuple[str, ...], values.get("words", ()), f"{dotted}.words", source))
        if "file" in values:
            phrases += _phrases(directory / settings.check(str, values["file"], f"{dotted}.file", source))
        if not any(phrase.strip(" *") for phrase in phrases):
            raise ConfigError(f"{source}: `{dotted}` has no words", hint='give words = ["..."] or file = "words.txt"')
        too_long = next((phrase for phrase in phrases if len(phrase) > longest), None)
        if too_long is not None:
            raise ConfigError(
                f"{source}: `{dotted}` has a phrase of {len(too_long)} characters, and {longest} are read ahead",
                hint="shorten it, or raise windows.input.after and windows.output.after",
            )
        sides = {side: settings.check(Action, values.get(side, "block"), f"{dotted}.{side}", source) for side in SIDES}
        found.append(Blocklist(name, tuple(dict.fromkeys(phrases)), **sides))
    return tuple(found)


def _phrases(path: Path) -> list[str]:
    """Read a list: a word or phrase a line; empty lines, and those that begin with #, count for nothing."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="check `file` in the policy's blocklist") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}", hint="convert it with `iconv -t utf-8`") from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
