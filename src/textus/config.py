"""Read settings dataclasses from TOML and from `key=value` overrides, and say plainly what is wrong.

A settings class is a frozen dataclass that inherits `Settings`, with a docstring under each field. Types understood:
`bool int float str`, `Literal[...]`, unions of these (`int | Literal["auto"]`), `tuple[T, ...]`, nested settings, and
`Annotated[number, Range(...)]` for bounds. The same checks run for a file, for the command line and for Python.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import json
import math
import textwrap
import tomllib
import types
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from textus.errors import ConfigError, InputError

AUTO = Literal["auto"]
"""The type of a setting that is planned from the data and the machine unless it is set."""


@dataclasses.dataclass(frozen=True)
class Range:
    """Bound a number from `low` to `high`; an `open_` end is itself excluded. NaN is never inside.

    >>> 0.0 in Range(0, 1, open_low=True), 1.0 in Range(0, 1, open_low=True)
    (False, True)
    """

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below and (isinstance(value, int) or math.isfinite(value))

    def __str__(self) -> str:
        low, high = (f"{end}" if isinstance(end, int) else f"{end:g}" for end in (self.low, self.high))
        if math.isinf(self.high):
            return f"{'above' if self.open_low else 'at least'} {low}"
        return f"in {'(' if self.open_low else '['}{low}, {high}{')' if self.open_high else ']'}"


Count = Annotated[int, Range(1)]
"""A whole number from 1."""
Natural = Annotated[int, Range(0)]
"""A whole number from 0."""
Positive = Annotated[float, Range(0, open_low=True)]
"""A finite number above 0."""
NonNegative = Annotated[float, Range(0)]
"""A finite number from 0."""
Fraction = Annotated[float, Range(0, 1)]
"""A number from 0 to 1, both included."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Base of every settings class: check each field's type and range when it is made, wherever it comes from.

    What Python writes loosely (1 for 1.0, a list for a tuple) is kept as its type says, so that equal settings are
    equal values with equal fingerprints.
    """

    def __post_init__(self) -> None:
        for name, kind in kinds(type(self)).items():
            object.__setattr__(self, name, check(kind, getattr(self, name), name, type(self).__name__))


S = TypeVar("S", bound=Settings)


def load(cls: type[S], path: Path | None = None, overrides: Sequence[str] = ()) -> S:
    """Make `cls` from its defaults, then a TOML file, then `key=value` overrides.

    Raises `ConfigError` naming the file or override, the key, what was got, and the nearest right word.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text("utf-8-sig"))  # editors on Windows begin with a mark
        except (ValueError, RecursionError) as error:  # TOML's, Unicode's, a number of 5000 digits, 1000 brackets
            raise ConfigError(
                f"{path}: not valid TOML: {error}", hint="`--print` shows a complete settings file"
            ) from None
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}", hint="check the path of the settings file") from None
    return override(build(cls, values, source=str(path)), *overrides)


def build(cls: type[S], values: dict[str, Any], source: str, prefix: str = "") -> S:
    """Make `cls` from nested tables; a key that is left out keeps its default."""
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        kind, dotted = _find(cls, key, prefix, source), prefix + key
        if _is_settings(kind):
            if not isinstance(value, dict):
                raise ConfigError(
                    f"{source}: `{dotted}` is a table of settings; got {value!r}", hint=_known(kind, f"{dotted}.")
                )
            arguments[key] = build(kind, value, source, f"{dotted}.")
        else:
            arguments[key] = check(kind, value, dotted, source)
    missing = [field.name for field in dataclasses.fields(cls) if _is_required(field) and field.name not in arguments]
    if missing:
        raise ConfigError(
            f"{source}: no value for `{prefix}{missing[0]}`", hint=f"it has no default: {prefix}{missing[0]}=VALUE"
        )
    return cls(**arguments)


def override(config: S, *items: str) -> S:
    """Apply `section.key=value` words; a value is read as TOML, and as a plain string where it is none.

    All are applied before settings are held against each other: two that need one another come in any order.
    """
    changes: dict[str, Any] = {}
    for item in items:
        dotted, found, text = item.partition("=")
        if not found:
            raise ConfigError(
                f"`{item}` is neither a file nor a setting",
                hint="settings are given as key=value, for example training.minutes=5",
            )
        _collect(changes, config, dotted.split("."), _Text(text), f"`{item}`")
    return _changed(config, changes)


def replace(config: S, changes: dict[str, Any]) -> S:
    """Return `config` with dotted keys set to new values."""
    collected: dict[str, Any] = {}
    for dotted, value in changes.items():
        _collect(collected, config, dotted.split("."), value, f"`{dotted}`")
    return _changed(config, collected)


def check(kind: Any, value: Any, dotted: str, source: str) -> Any:
    """Return `value` as `kind`, or raise `ConfigError` with what is allowed."""
    converted = _convert(kind, value)
    if converted is _NO:
        shown = json.dumps(value, ensure_ascii=False, default=repr) if not isinstance(value, float) else repr(value)
        raise ConfigError(
            f"{source}: `{dotted}` must be {words(kind)}; got {shown}", hint=_nearest(kind, value, dotted)
        )
    return converted


def kinds(cls: Any) -> dict[str, Any]:
    """Return the declared type of each field, by name."""
    return _kinds(cls)


@cache
def _kinds(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def documentation(cls: Any) -> dict[str, str]:
    """Return the docstring under each field, by name; a subclass inherits those that it does not write anew."""
    found: dict[str, str] = {}
    for part in reversed(cls.__mro__):
        if part is not object:
            found |= _own_documentation(part)
    return found


@cache
def _own_documentation(cls: Any) -> dict[str, str]:
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(node, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in zip(node.body, node.body[1:], strict=False):
        is_text = (
            isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
        )
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            found[field.target.id] = inspect.cleandoc(text.value.value)  # type: ignore[attr-defined]
    return found


def keys(cls: type, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """List every dotted key with its type and docstring, in the order of the fields."""
    texts = documentation(cls)
    for name, kind in kinds(cls).items():
        if _is_settings(kind):
            yield from keys(kind, f"{prefix}{name}.")
        else:
            yield prefix + name, kind, texts.get(name, "")


def to_toml(config: Settings, *, explain: bool = True) -> str:
    """Write settings as TOML that `load` reads back to an equal value; `explain` puts each docstring above its key."""
    return "\n".join(_toml_lines(config, "", explain)).strip() + "\n"


def _toml_lines(config: Settings, prefix: str, explain: bool) -> Iterator[str]:
    texts = documentation(type(config))
    nested: list[tuple[str, Settings]] = []
    for name in kinds(type(config)):
        value = getattr(config, name)
        if isinstance(value, Settings):
            nested.append((prefix + name, value))
            continue
        if explain:
            yield from (f"# {line}" for line in textwrap.wrap(" ".join(texts.get(name, "").split()), 110))
        yield f"{name} = {_toml_value(value)}"
    for name, section in nested:
        yield f"\n[{name}]"
        yield from _toml_lines(section, f"{name}.", explain)


def _toml_value(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _collect(
    changes: dict[str, Any], config: Settings, path: list[str], value: Any, source: str, prefix: str = ""
) -> None:
    """Put a value, checked for itself, to the others; those of a section are in a table of their own."""
    kind, dotted = _find(type(config), path[0], prefix, source), prefix + path[0]
    if len(path) > 1:
        inner, own = _nested(config, path[0], kind, source, prefix), changes.setdefault(path[0], {})
        if isinstance(own, Settings):  # the section was given whole before
            changes[path[0]] = replace(own, {".".join(path[1:]): value})
        else:
            _collect(own, inner, path[1:], value, source, f"{dotted}.")
        return
    if isinstance(value, _Text):
        if _is_settings(kind):
            raise ConfigError(f"{source}: `{dotted}` is a group of settings", hint=_known(kind, f"{dotted}."))
        read = _from_toml(value)
        value = str(value) if _convert(kind, read) is _NO and _convert(kind, str(value)) is not _NO else read
    changes[path[0]] = check(kind, value, dotted, source)


class _Text(str):
    """A value as it was typed."""

    __slots__ = ()


def _changed(config: S, changes: dict[str, Any]) -> S:
    """Return settings with all changes, those of sections first."""
    values = dict(changes)
    for name in changes.keys() & {name for name, kind in kinds(type(config)).items() if _is_settings(kind)}:
        if isinstance(changes[name], dict):
            values[name] = _changed(getattr(config, name), changes[name])
    return dataclasses.replace(config, **values) if values else config


def _from_toml(text: str) -> Any:
    try:
        values = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    value = values["value"]
    # `out=5#draft` and `out=1\nb = 2` are names, not a number with a comment or a second key behind it.
    return text if len(values) > 1 or ("#" in text and not isinstance(value, str | list | dict)) else value


def _nested(config: Settings, name: str, kind: Any, source: str, prefix: str) -> Any:
    if not _is_settings(kind):
        raise ConfigError(
            f"{source}: `{prefix}{name}` is a single setting, not a group", hint=f"write {prefix}{name}=VALUE"
        )
    return getattr(config, name)


def _find(cls: type, key: str, prefix: str, source: str) -> Any:
    if key in kinds(cls):
        return kinds(cls)[key]
    return _unknown(cls, key, prefix, source)


def _unknown(cls: type, key: str, prefix: str, source: str) -> Any:
    # A setting of a section below is as likely meant as one that is spelt alike here.
    below = [dotted for dotted in _dotted(cls) if dotted.rpartition(".")[2] == key]
    close = below or difflib.get_close_matches(key, kinds(cls), n=1, cutoff=0.6)
    if not close:
        last = {dotted.rpartition(".")[2]: dotted for dotted in _dotted(cls)}
        close = [last[name] for name in difflib.get_close_matches(key, last, n=1, cutoff=0.6)]
    hint = f"did you mean `{prefix}{close[0]}`?" if close else _known(cls, prefix)
    raise ConfigError(f"{source}: no setting `{prefix}{key}`", hint=hint)


def _known(cls: type, prefix: str) -> str:
    return "settings here: " + ", ".join(prefix + name for name in kinds(cls))


def _dotted(cls: type, prefix: str = "") -> Iterator[str]:
    for name, kind in kinds(cls).items():
        if _is_settings(kind):
            yield from _dotted(kind, f"{prefix}{name}.")
        else:
            yield prefix + name


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _is_settings(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Settings)


_NO = object()


def _convert(kind: Any, value: Any) -> Any:
    """Return `value` as `kind`, or `_NO`. A whole number is a float; nothing else changes its type."""
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *bounds = get_args(kind)
        converted = _convert(inner, value)
        return converted if converted is not _NO and all(converted in bound for bound in bounds) else _NO
    if origin is Literal:
        return next((choice for choice in get_args(kind) if choice == value and type(choice) is type(value)), _NO)
    if origin in (Union, types.UnionType):
        return next((got for part in get_args(kind) if (got := _convert(part, value)) is not _NO), _NO)
    if origin is tuple:
        return _convert_items(get_args(kind)[0], value)
    if kind is float and type(value) is int:
        return float(value) if abs(value) < 2**1023 else _NO
    if kind is float and isinstance(value, float) and not math.isfinite(value):
        return _NO
    if kind is str and isinstance(value, str) and not _is_unicode(value):
        return _NO
    if _is_settings(kind):
        return value if isinstance(value, kind) else _NO
    return value if type(value) is kind else _NO


def _is_unicode(text: str) -> bool:
    """Tell whether UTF-8, and so a settings file, can hold `text`: not the name of a file in another encoding."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _convert_items(kind: Any, value: Any) -> Any:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple):
        return _NO
    items = tuple(_convert(kind, item) for item in value)
    return _NO if _NO in items else items


def words(kind: Any) -> str:
    """Say in words what a type allows."""
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *bounds = get_args(kind)
        return f"{words(inner)} {' and '.join(map(str, bounds))}"
    if origin is Literal:
        return " or ".join(json.dumps(choice) for choice in get_args(kind))
    if origin in (Union, types.UnionType):
        return " or ".join(map(words, get_args(kind)))
    if origin is tuple:
        return f"a list, each {words(get_args(kind)[0])}"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
    return names.get(kind, getattr(kind, "__name__", str(kind)))


def _nearest(kind: Any, value: Any, dotted: str) -> str:
    number = _as_number(value)
    if number is not None and (meant := _convert(kind, number)) is not _NO:
        return f"did you mean {dotted}={meant!r}?"
    parts = (kind, *get_args(kind))
    choices = [str(choice) for part in parts if get_origin(part) is Literal for choice in get_args(part)]
    choices += ["true", "false"] if bool in parts else []
    close = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.5)
    if close:
        return f"did you mean {dotted}={close[0]}?"
    if "." not in dotted:  # an option or an argument, which no settings file knows
        return f"give {dotted} a value that is allowed"
    return f"set it as {dotted}=VALUE or in the settings file; `textus train --print` shows them all"


def _as_number(value: Any) -> int | float | None:
    """Read what TOML does not take for a number (`.5`), or not for a whole one (`1e5`)."""
    try:
        number = float(value) if isinstance(value, str | float) else math.nan
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number
