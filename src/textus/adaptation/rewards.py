"""What an answer is worth, by a check that anybody can make again: a number, a text, valid JSON, or one's own function.

One's own is `module:function` or `file.py:function`, called with the answer and the record that the prompt is from:

    def reward(answer: str, record: dict[str, Any]) -> float
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from textus.errors import ConfigError, InputError

Reward = Callable[[str, Mapping[str, Any]], float]
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_HINT = "give module:function or file.py:function, as in rewards.py:short"


def number(answer: str, record: Mapping[str, Any]) -> float:
    """Return 1 where the last number of an answer is the last of the record's `answer` (GSM8K's way), else 0.

    >>> number("so 1,200 + 34 = 1,234.", {"answer": "#### 1234"}), number("none", {"answer": 5})
    (1.0, 0.0)
    """
    mine, wanted = (_NUMBER.findall(str(text)) for text in (answer, record["answer"]))
    return float(bool(mine and wanted) and _value(mine[-1]) == _value(wanted[-1]))


def exact(answer: str, record: Mapping[str, Any]) -> float:
    """Return 1 where an answer is the record's `answer`, but for blanks around it, else 0."""
    return float(answer.strip() == str(record["answer"]).strip())


def valid_json(answer: str, record: Mapping[str, Any]) -> float:
    """Return 1 where an answer is a JSON object or list, with all of the record's `keys` where it has any, else 0.

    >>> valid_json('{"name": "Ann"}', {"keys": ["name"]}), valid_json('{"name": ', {}), valid_json("7", {})
    (1.0, 0.0, 0.0)
    """
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return 0.0
    keys = record.get("keys", [])
    return float(isinstance(value, dict | list) and (not keys or (isinstance(value, dict) and set(keys) <= set(value))))


BUILT_IN: dict[str, tuple[Reward, tuple[str, ...]]] = {
    "number": (number, ("answer",)),
    "exact": (exact, ("answer",)),
    "json": (valid_json, ()),
}
"""Checks by name, and the keys that each record must have for them."""


def reward_named(name: str) -> Reward:
    """Return a check by its name, or one's own by where it is; raise `ConfigError` where there is none."""
    if name in BUILT_IN:
        return BUILT_IN[name][0]
    place, colon, function = name.rpartition(":")
    if not colon or not place:
        raise ConfigError(f"no reward `{name}`", hint=f"there are {', '.join(BUILT_IN)}; for your own {_HINT}")
    found = getattr(_module(place, name), function, None)
    if not callable(found):
        raise ConfigError(f"reward {name}: {place} has no function `{function}`", hint=_HINT)
    own: Reward = found
    return own


def needed(name: str) -> tuple[str, ...]:
    """Return the keys that each record must have for a reward."""
    return BUILT_IN[name][1] if name in BUILT_IN else ()


def judged(reward: Reward, name: str, answer: str, record: Mapping[str, Any], place: str) -> float:
    """Return what an answer is worth; raise `InputError` where that is no finite number, or the function fails."""
    try:
        value = reward(answer, record)
    except Exception as error:  # whatever it is, it is the user's, and he wants to know of which prompt
        raise InputError(
            f"{place}: reward {name} failed with {type(error).__name__}: {error}",
            hint=f"the answer was {answer!r:.200}",
        ) from error
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise InputError(
            f"{place}: reward {name} is {value!r}, and must be a finite number",
            hint=f"the answer was {answer!r:.200}: let the function return 0 for what it cannot judge",
        )
    return found


def nothing_told_apart(rounds: int, reward: float) -> str:
    """Say that answers to a prompt were all worth the same, with what helps; `reward` is their mean.

    >>> nothing_told_apart(5, 0.0).splitlines()[0]
    'in 5 rounds no prompt had answers of different rewards (their mean is 0): there is nothing to learn from them'
    """
    return (
        f"in {rounds} rounds no prompt had answers of different rewards (their mean is {reward:.3g}): there is nothing "
        "to learn from them\nhint: where all are wrong, begin with a model that is right now and then (--method "
        "instruct), give a larger `group`, a warmer `temperature` or more `answer_tokens`, or let the reward give a "
        "part for what is nearly right; where all are right, give harder prompts"
    )


def _value(text: str) -> float:
    return float(text.replace(",", ""))


def _module(place: str, name: str) -> ModuleType:
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place)
        spec = importlib.util.spec_from_file_location(f"textus_reward_{Path(place).stem}", place)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    except Exception as error:  # a module of the user's may fail in any way
        raise ConfigError(f"reward {name}: {place} cannot be loaded: {error}", hint=_HINT) from error
