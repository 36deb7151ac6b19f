"""Conversations from records: OpenAI's messages, and what Alpaca and ShareGPT call the same.

```
{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}        OpenAI
{"instruction": "Add.", "input": "1, 2", "output": "3"}                                               Alpaca
{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello."}]}             ShareGPT
{"prompt": "Hi", "completion": "Hello."}                                                              one exchange
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textus import fingerprint
from textus.dataset.records import Record, read
from textus.errors import InputError

SHAPES = '{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}'
ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user", "prompter": "user",
    "assistant": "assistant", "gpt": "assistant", "model": "assistant", "bot": "assistant", "chatgpt": "assistant",
}  # fmt: skip
"""What others call who speaks."""
_ORDER = "a conversation is a system turn or none, then user and assistant in turn"
Message = dict[str, str]


@dataclass(frozen=True)
class Conversation:
    """What was said, in order."""

    messages: tuple[Message, ...]
    """Each with its `role` and `content`."""
    place: str
    """The file and the line, for errors."""

    @property
    def id(self) -> str:
        """Hash what was said: equal conversations have equal ids."""
        return hashed(self.messages)


@dataclass(frozen=True)
class Asked:
    """Turns to which an answer is wanted."""

    prompt: tuple[Message, ...]
    """The turns before, the user's last."""

    @property
    def id(self) -> str:
        """Hash the prompt: answers to one prompt belong on one side of a split."""
        return hashed(self.prompt)

    def conversation(self, answer: str) -> list[Message]:
        """Return the turns with an answer behind them."""
        return [*self.prompt, said("assistant", answer)]


def conversations(path: Path) -> Iterator[Conversation]:
    """Yield the conversations of a file or folder; raise `InputError` naming the line and the message at fault."""
    return map(conversation, read(path))


def conversation(record: Record) -> Conversation:
    """Return the conversation of a record in any of the shapes that are known."""
    values = record.values
    if isinstance(turns := values.get("messages", values.get("conversations", values.get("conversation"))), list):
        found = [message(record.place, number, turn) for number, turn in enumerate(turns, 1)]
        if isinstance(system := values.get("system"), str) and system.strip() and found[:1] != [said("system", system)]:
            found = [said("system", system), *found]
    else:
        found = _exchange(record)
    checked(found, record.place)
    return Conversation(tuple(found), record.place)


def checked(messages: Sequence[Message], place: str) -> None:
    """Raise `InputError` where turns are empty, out of order, or hold no answer."""
    for number, message in enumerate(messages, 1):
        role, before = message["role"], messages[number - 2]["role"] if number > 1 else ""
        allowed = {"": ("system", "user"), "system": ("user",), "user": ("assistant",), "assistant": ("user",)}[before]
        if role not in allowed:
            where = f"follows one of `{before}`" if before else "is the first"
            raise InputError(f"{place}: message {number} is of `{role}`, and {where}", hint=_ORDER)
        if not message["content"].strip():
            raise InputError(
                f"{place}: message {number}, of `{role}`, is empty", hint="leave the conversation out, or mend it"
            )
    if not any(message["role"] == "assistant" for message in messages):
        raise InputError(f"{place}: nobody answers: no message is of `assistant`", hint=_ORDER)


def message(place: str, number: int, turn: Any) -> Message:
    """Return one turn, whoever wrote it down; raise `InputError` where it is none."""
    if not isinstance(turn, Mapping):
        raise InputError(f"{place}: message {number} is no JSON object", hint=f"as in {SHAPES}")
    role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
    if not isinstance(role, str) or role.lower() not in ROLES:
        known = ", ".join(sorted(set(ROLES.values())))
        raise InputError(f"{place}: message {number} is of {role!r}", hint=f"roles are {known}")
    if isinstance(content, list):  # OpenAI's parts
        parts = [part.get("text") if isinstance(part, Mapping) else None for part in content]
        content = None if None in parts else "".join(map(str, parts))
    if not isinstance(content, str):
        raise InputError(f"{place}: message {number} has no text in `content`", hint=f"as in {SHAPES}")
    return said(ROLES[role.lower()], content)


def _exchange(record: Record) -> list[Message]:
    """Read one question and its answer."""
    values = record.values
    names = (("instruction", "output"), ("prompt", "completion"), ("prompt", "response"), ("question", "answer"),
             ("input", "output"))  # fmt: skip
    for asked, answered in names:
        if isinstance(values.get(asked), str) and isinstance(values.get(answered), str):
            question = values[asked]
            if asked == "instruction" and str(values.get("input") or "").strip():
                question = f"{question}\n\n{values['input']}"
            system = values.get("system")
            before = [said("system", system)] if isinstance(system, str) and system.strip() else []
            return [*before, said("user", question), said("assistant", values[answered])]
    raise InputError(
        f"{record.place}: no conversation: its keys are {', '.join(list(values)[:6]) or 'none'}",
        hint=f"as in {SHAPES}; Alpaca's and ShareGPT's shapes are known too",
    )


def hashed(turns: Sequence[Message]) -> str:
    """Hash turns: equal ones have equal hashes."""
    return fingerprint.of_value([[turn["role"], turn["content"]] for turn in turns])


def said(role: str, content: str) -> Message:
    """Return a turn."""
    return {"role": role, "content": content}
