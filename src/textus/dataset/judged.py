"""Answers with a label from records: what was asked, what was answered, and whether that was good.

```
{"prompt": "Hi", "completion": "Hello.", "label": true}
{"messages": [..., {"role": "assistant", "content": "Hello."}], "label": false}      all shapes of conversations
```
"""

from __future__ import annotations

from dataclasses import dataclass

from textus.dataset.conversations import Asked, conversation
from textus.dataset.records import Record
from textus.errors import InputError

SHAPES = '{"prompt": "...", "completion": "...", "label": true}'
LABELS = ("label", "kto_tag")


@dataclass(frozen=True)
class Judged(Asked):
    """An answer to some turns, and whether it is a good one."""

    answer: str
    good: bool
    place: str
    """The file and the line, for errors."""


def is_judged(record: Record) -> bool:
    """Tell whether a record is an answer with a label, and no pair of answers."""
    return any(name in record.values for name in LABELS) and "chosen" not in record.values


def judged(record: Record) -> Judged:
    """Return the answer of a record with its label."""
    named = [name for name in LABELS if name in record.values]
    label = record.values[named[0]] if named else None
    if label not in (True, False) or isinstance(label, float):
        raise InputError(
            f"{record.place}: `{named[0] if named else LABELS[0]}` is {label!r}, neither true nor false",
            hint=f"as in {SHAPES}",
        )
    turns = conversation(record).messages
    if turns[-1]["role"] != "assistant":
        raise InputError(f"{record.place}: the last message is of `{turns[-1]['role']}`", hint="end with the answer")
    return Judged(turns[:-1], turns[-1]["content"], bool(label), record.place)
