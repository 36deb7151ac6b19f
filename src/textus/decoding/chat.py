"""A conversation as a text that a model continues."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from textus.config import Settings
from textus.errors import ConfigError
from textus.tokenizer.turns import Turns

CONTENT = "{content}"


@dataclasses.dataclass(frozen=True)
class Message(Settings):
    """What somebody said."""

    role: Literal["system", "user", "assistant"]
    """Who: the system says how to answer, before all others."""
    content: str
    """What."""


class Form(Protocol):
    """A way of writing turns down."""

    def prompt(self, messages: Sequence[Message]) -> str | list[int]:
        """Write the turns and begin the model's next, as text or as tokens."""
        ...

    @property
    def stop(self) -> tuple[str, ...]:
        """What shows that the model has begun the turn of somebody else."""
        ...


@dataclasses.dataclass(frozen=True)
class Layout(Settings):
    r"""How turns are written down for a model that knows no other form.

    >>> Layout().prompt([Message("system", "Be kind."), Message("user", "Hello")])
    'Be kind.\n\nUser: Hello\nAssistant:'
    """

    system: str = "{content}\n\n"
    """The first turn, if there is one."""
    user: str = "User: {content}\n"
    """What a person said."""
    assistant: str = "Assistant: {content}\n"
    """What the model said."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("system", "user", "assistant"):
            if getattr(self, name).count(CONTENT) != 1:
                raise ConfigError(f"layout: `{name}` does not hold {CONTENT} once", hint=f"as in {Layout().user!r}")

    def prompt(self, messages: Sequence[Message]) -> str:
        """Write the turns and begin the model's next; a space before its words is left to the model to write."""
        check_turns(messages)
        turns = "".join(getattr(self, message.role).replace(CONTENT, message.content) for message in messages)
        return turns + self.assistant.partition(CONTENT)[0].rstrip(" ")

    @property
    def stop(self) -> tuple[str, ...]:
        """What shows that the model has begun the turn of somebody else."""
        after = self.assistant.partition(CONTENT)[2]
        return tuple(after + form.partition(CONTENT)[0].rstrip(" ") for form in (self.user, self.assistant))


@dataclasses.dataclass(frozen=True)
class Templated:
    """How turns are written by the chat template that a model has learnt: as tokens, with an end of its own."""

    turns: Turns
    stop: tuple[str, ...] = ()

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Write the turns and begin the model's next."""
        check_turns(messages)
        return self.turns.prompt([{"role": message.role, "content": message.content} for message in messages])


def check_turns(messages: Sequence[Message]) -> None:
    """Refuse a conversation that is not system?, user, assistant, user, ..., user."""
    roles = [message.role for message in messages]
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    wanted = ["user", "assistant"] * len(spoken)
    if not spoken or spoken != wanted[: len(spoken)] or spoken[-1] != "user":
        raise ConfigError(
            f"the turns are {', '.join(roles) or 'none'}",
            hint="a conversation is a system turn or none, then user and assistant in turn, and the user's last",
        )


def fit(
    messages: Sequence[Message], layout: Form, count_tokens: Callable[[Any], int], room: int
) -> tuple[list[Message], int]:
    """Leave out the oldest exchanges until the prompt has at most `room` tokens; return the rest and how many went.

    The system turn and the last question always stay, even where they alone are too long.
    """
    kept, dropped = list(messages), 0
    first = 1 if kept[0].role == "system" else 0
    while len(kept) - first > 2 and count_tokens(layout.prompt(kept)) > room:
        del kept[first : first + 2]
        dropped += 1
    return kept, dropped
