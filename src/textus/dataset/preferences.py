"""Pairs of answers from records: a prompt, the answer that was chosen, the one that was rejected.

```
{"prompt": "Hi", "chosen": "Hello.", "rejected": "What?"}                    each a text, or a list of messages
{"messages": [...], "chosen": {...}, "rejected": {...}}                      the turns before, and a message each
{"chosen": [...], "rejected": [...]}                                         two whole conversations that begin alike
```
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textus.dataset.conversations import Asked, Message, checked, message, said
from textus.dataset.records import Record
from textus.errors import InputError

SHAPES = '{"prompt": "...", "chosen": "...", "rejected": "..."}'


@dataclass(frozen=True)
class Preference(Asked):
    """Two answers to the same turns."""

    chosen: str
    rejected: str
    place: str
    """The file and the line, for errors."""


def preference(record: Record) -> Preference:
    """Return the pair of a record in any of the shapes that are known."""
    place, values = record.place, record.values
    if "chosen" not in values or "rejected" not in values:
        raise InputError(
            f"{place}: no pair: its keys are {', '.join(list(values)[:6]) or 'none'}", hint=f"as in {SHAPES}"
        )
    before = values.get("prompt", values.get("messages", values.get("conversations")))
    prompt = _turns(place, before, "user") if before is not None else []
    system = values.get("system")
    if isinstance(system, str) and system.strip():
        prompt = [said("system", system), *prompt]
    chosen, rejected = (_turns(place, values[name], "assistant") for name in ("chosen", "rejected"))
    if len(chosen) > 1 and chosen[:-1] == rejected[:-1] and not prompt:
        prompt, chosen, rejected = chosen[:-1], chosen[-1:], rejected[-1:]
    for name, answer in (("chosen", chosen), ("rejected", rejected)):
        if len(answer) > 1 and answer[: len(prompt)] == prompt:
            answer[:] = answer[len(prompt) :]
        if len(answer) != 1:
            raise InputError(
                f"{place}: `{name}` is no single answer to the prompt: it has {len(answer)} messages",
                hint="both must go on from the same turns, with one message of `assistant`",
            )
        checked([*prompt, *answer], f"{place}: `{name}`")
    if chosen == rejected:
        raise InputError(f"{place}: `chosen` is equal to `rejected`", hint="leave it out: it tells of no preference")
    return Preference(tuple(prompt), chosen[0]["content"], rejected[0]["content"], place)


def _turns(place: str, value: Any, role: str) -> list[Message]:
    if isinstance(value, str):
        return [said(role, value)]
    if isinstance(value, dict):
        return [message(place, 1, value)]
    if isinstance(value, list):
        return [message(place, number, turn) for number, turn in enumerate(value, 1)]
    raise InputError(f"{place}: a {type(value).__name__} where a text or messages belong", hint=f"as in {SHAPES}")
