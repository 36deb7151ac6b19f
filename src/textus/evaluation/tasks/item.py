"""One question of a task, made of one line of its file, or a refusal that names the line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textus.errors import InputError
from textus.evaluation.tasks.config import Kind, TaskConfig

Record = Mapping[str, Any]
EXAMPLES: dict[Kind, str] = {
    "choice": '{"context": "The sky is", "choices": ["blue", "loud"], "gold": 0}',
    "pairs": '{"good": "The cats sleep.", "bad": "The cats sleeps."}',
    "cloze": '{"context": "She opened the", "target": "door"}',
    "generation": '{"context": "Question: 1 + 1?\\nAnswer:", "answer": "2"}',
    "text": '{"text": "A text."}',
}
"""What a line of each kind looks like."""
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Option:
    """What may follow a context."""

    context: str
    lead: str
    """What stands between context and text, a space as a rule."""
    text: str

    @property
    def continuation(self) -> str:
        """Return what is asked behind the context."""
        return self.lead + self.text


@dataclass(frozen=True, slots=True)
class Item:
    """A question with its answers, of which `gold` is right."""

    place: str
    """The file and its line."""
    options: tuple[Option, ...]
    gold: int
    group: str = ""
    answers: tuple[str, ...] = ()
    """What counts as right where the answer is written."""
    worked: str = ""
    """The answer as an example shows it, where that is more than the answer itself."""

    @property
    def right(self) -> Option:
        """Return the right option."""
        return self.options[self.gold]

    @property
    def solved(self) -> str:
        """Return the question with its answer, as an example shows it."""
        return self.right.context + self.right.lead + (self.worked or self.right.text)

    @property
    def plain(self) -> str:
        """Return the text of question and right answer, to be looked for in the training text."""
        return f"{self.right.context} {self.right.text}"


def make_item(record: Record, config: TaskConfig, place: str) -> Item:
    """Make an item of a line in our schema; raise `InputError` naming the line and what is wrong with it."""
    line = _Line(record, config, place)
    options, gold = _PARTS[line.kind](line)
    group = record.get(config.group, "")
    answers: tuple[str, ...] = ()
    if line.kind == "generation":
        given = record["answer"]
        answers = tuple(given) if isinstance(given, list) else (str(given),)
    worked = record.get("worked", "")
    return Item(place, options, gold, str(group), answers, worked if isinstance(worked, str) else "")


class _Line:
    """A line that says what is wrong with it."""

    def __init__(self, record: Record, config: TaskConfig, place: str) -> None:
        assert config.kind != "auto", "the kind is known when lines are read"
        self.record, self.config, self.place, self.kind = record, config, place, config.kind

    def wrong(self, words: str) -> InputError:
        return InputError(f"{self.place}: {words}", hint=f"a line of this kind is {EXAMPLES[self.kind]}")

    def text(self, key: str) -> str:
        """Return a text that is not empty."""
        value = self.record.get(key)
        if not isinstance(value, str):
            raise self.wrong(f"`{key}` is not text" if key in self.record else f"no `{key}`")
        if not value.strip():
            raise self.wrong(f"`{key}` is empty")
        return value

    def texts(self, key: str, least: int) -> list[str]:
        """Return a list of texts, none of them empty."""
        values = self.record.get(key)
        if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
            raise self.wrong(f"`{key}` is not a list of texts" if key in self.record else f"no `{key}`")
        empty = next((number for number, value in enumerate(values) if not value.strip()), -1)
        if empty >= 0:
            raise self.wrong(f"number {empty} of `{key}` is empty")
        if len(values) < least:
            raise self.wrong(f"{len(values)} of `{key}`, and {least} are needed at least")
        return list(values)

    def prompt(self) -> str:
        """Write the prompt with the line's own words."""

        def filled(found: re.Match[str]) -> str:
            value = self.record.get(found[1])
            if not isinstance(value, str | int | float):
                raise self.wrong(f"no `{found[1]}`, which the prompt shows")
            return str(value)

        return _FIELD.sub(filled, self.config.prompt)

    def lead(self, context: str) -> str:
        """Return what stands between a context and what follows it: nothing before the first word of a text."""
        value = self.record.get("separator", self.config.separator)
        if not isinstance(value, str):
            raise self.wrong("`separator` is not text")
        return value if context else ""

    def gold(self, choices: list[str]) -> int:
        """Return the number of the right choice."""
        key = self.config.gold
        if key not in self.record:
            raise self.wrong(f"no `{key}`, which says the right answer")
        value = self.record[key]
        number = _number(value, self.config.labels, choices)
        if number is None:
            known = self.config.labels or choices
            raise self.wrong(f"`{key}` is {value!r}, and none of {', '.join(map(repr, known[:8]))}")
        if not 0 <= number < len(choices):
            raise self.wrong(f"`{key}` is {value!r}, and the answers are numbered 0 to {len(choices) - 1}")
        return number


def _number(value: Any, labels: tuple[str, ...], choices: list[str]) -> int | None:
    """Read the number of a right answer that is given as number, label, text or letter.

    >>> [_number(value, (), ["no", "yes"]) for value in (1, "1", True, "yes", "B", "maybe")]
    [1, 1, 1, 1, 1, None]
    """
    if labels:
        return labels.index(str(value)) if str(value) in labels else None
    if isinstance(value, int):
        return int(value)
    if not isinstance(value, str):
        return None
    if value in choices:
        return choices.index(value)
    word = value.strip()
    if word.isascii() and word.isdigit():
        return int(word)
    return ord(word) - ord("A") if len(word) == 1 and "A" <= word <= "Z" else None


def _choice(line: _Line) -> tuple[tuple[Option, ...], int]:
    if "contexts" in line.record:  # the same end behind different beginnings
        contexts, text = line.texts("contexts", 2), line.text("continuation")
        return tuple(Option(context, line.lead(context), text) for context in contexts), line.gold(contexts)
    context = line.prompt()
    choices = list(line.config.choices) or line.texts("choices", 2)
    lead = line.lead(context)
    return tuple(Option(context, lead, text) for text in choices), line.gold(choices)


def _pairs(line: _Line) -> tuple[tuple[Option, ...], int]:
    return (Option("", "", line.text("good")), Option("", "", line.text("bad"))), 0


def _cloze(line: _Line) -> tuple[tuple[Option, ...], int]:
    context = line.prompt()
    return (Option(context, line.lead(context), line.text("target")),), 0


def _generation(line: _Line) -> tuple[tuple[Option, ...], int]:
    context = line.prompt()
    if not context.strip():
        raise line.wrong("the prompt is empty")
    if isinstance(line.record.get("answer"), list):
        answer = line.texts("answer", 1)[0]
    elif isinstance(line.record.get("answer"), int | float):
        answer = str(line.record["answer"])
    else:
        answer = line.text("answer")
    return (Option(context, line.lead(context), answer),), 0


def _text(line: _Line) -> tuple[tuple[Option, ...], int]:
    return (Option("", "", line.text("text")),), 0


_PARTS = {"choice": _choice, "pairs": _pairs, "cloze": _cloze, "generation": _generation, "text": _text}
