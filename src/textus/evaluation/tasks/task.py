"""A task as it is measured: its items in order, each behind the solved examples that are shown before it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from textus import config as settings
from textus import fingerprint
from textus.errors import ConfigError, InputError
from textus.evaluation.tasks.config import Kind, TaskConfig
from textus.evaluation.tasks.formats import converted
from textus.evaluation.tasks.item import Item, make_item
from textus.evaluation.tasks.read import Source, open_source, stem


@dataclass(frozen=True)
class Task:
    """A task that was looked through: every line is right, and its examples are chosen."""

    name: str
    format: str
    config: TaskConfig
    count: int
    """Items that are measured; examples are not."""
    shown: str
    """The solved examples before every question."""
    data: str
    """Fingerprint of the lines, the prompt and the examples: scores of equal ones may be set side by side."""
    source: Source
    _left_out: frozenset[int]

    @property
    def kind(self) -> Kind:
        """Return the kind of its questions."""
        assert self.config.kind != "auto", "the kind is known when lines are read"
        return self.config.kind

    def items(self) -> Iterator[Item]:
        """Yield the items to measure."""
        return (item for number, item in enumerate(_items(self.source)) if number not in self._left_out)


def open_task(path: str | Path, changes: dict[str, Any] | None = None) -> Task:
    """Read through a task, without keeping it; `changes` are settings that differ from its description.

    Raises `InputError` where a line is wrong, where there is none, and where all have the same answer, and
    `ConfigError` for examples that are not there.
    """
    source = open_source(Path(path))
    changed = settings.replace(source.config, changes or {})
    source = replace(source, config=changed)
    count, digest = _survey(source)
    left_out, shown = _examples(source, count)
    if count == len(left_out):
        raise ConfigError(f"{path}: all {count} items are shown as examples", hint="give fewer shots, or more items")
    data = fingerprint.of_parts([digest, fingerprint.of_value(changed), shown])
    return Task(source.name, source.form.name, changed, count - len(left_out), shown, data, source, left_out)


def _items(source: Source) -> Iterator[Item]:
    several = len(source.files) > 1
    for path, number, record in source.records():
        place = f"{path}:{number}"
        ours = converted(source.form, record)
        if isinstance(ours, str):
            raise InputError(f"{place}: {ours}", hint="all lines of a task have the format of its first")
        item = make_item(ours, source.config, place)
        # the files of a folder are its parts, where the lines do not say better
        yield replace(item, group=stem(path)) if several and not item.group else item


def _survey(source: Source) -> tuple[int, str]:
    """Look at every line; return how many there are, and their fingerprint."""
    digest, count = hashlib.sha256(), 0
    answers: set[Any] = set()
    for item in _items(source):
        count += 1
        digest.update(fingerprint.of_value(item.options).encode() + f"{item.gold} {item.answers}".encode())
        if len(answers) < 2:
            answers.add(_answer(item, source.config))
    if not count:
        raise InputError(f"{source.files[0]}: no item in it", hint="write one question a line: docs/tasks.md")
    asks = source.config.kind in ("choice", "cloze", "generation")
    if asks and count > 1 and len(answers) < 2 and not source.config.same_answers:
        (answer,) = answers
        raise InputError(
            f"{source.files[0]}: the right answer of all {count} items is {answer!r}: whoever always says so is right",
            hint="see that the right key is read (`gold`); if it is meant, set same_answers to true",
        )
    return count, digest.hexdigest()


def _answer(item: Item, config: TaskConfig) -> Any:
    """Return what tells whether answers differ: of choices their numbers, where the choices are always the same too."""
    if config.kind == "choice":
        return item.gold
    return item.answers or item.right.text


def _examples(source: Source, count: int) -> tuple[frozenset[int], str]:
    """Choose the examples; return which of the task's own items they are, and how all are shown."""
    config, shots, own = source.config, source.config.shots, not source.config.examples
    if not shots:
        return frozenset(), ""
    if not own:
        there = open_source(source.files[0].parent / config.examples)
        source = replace(there, config=replace(config, examples="", same_answers=True))
        count = _survey(source)[0]
    if shots > count:
        raise ConfigError(f"{shots} examples, and {source.files[0]} holds {count}", hint=f"give at most {count} shots")
    wanted = range(shots) if config.choose == "fixed" else random.Random(config.seed).sample(range(count), shots)
    places = {number: place for place, number in enumerate(wanted)}
    found: dict[int, Item] = {}
    for number, item in enumerate(_items(source)):
        if number in places:
            found[places[number]] = item
        if len(found) == shots:
            break
    shown = "".join(found[place].solved + config.between for place in range(shots))
    return frozenset(places) if own else frozenset(), shown
