"""What a task is: its kind, its prompt with a version, and what is shown before a question."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from textus.config import Count, Natural, Settings
from textus.errors import ConfigError

Kind = Literal["choice", "pairs", "cloze", "generation", "text"]


@dataclass(frozen=True)
class TaskConfig(Settings):
    """Say how the lines of a task are asked; every setting has a default that fits the kind."""

    kind: Kind | Literal["auto"] = "auto"
    """`choice` of several answers, `pairs` of a good and a bad sentence, `cloze` (the words that end a text),
    `generation` of an answer, or `text`, whose perplexity is measured; auto: seen from the keys of the first line."""
    version: Count = 1
    """Raised whenever prompt or answers change, so that scores of different prompts are told apart."""
    items: str = ""
    """The file or folder of the lines, as seen from this description; empty: the file that it stands in or beside."""
    prompt: str = "{context}"
    """What is asked, with the keys of a line in braces."""
    separator: str = " "
    """What stands between the prompt and an answer; a line may have a `separator` of its own."""
    between: str = "\n\n"
    """What stands behind an example, before the next question."""
    choices: tuple[str, ...] = ()
    """The answers to choose from, where they are the same for every line."""
    gold: str = "gold"
    """The key of the right answer: its number from 0, its letter, its text or its label."""
    labels: tuple[str, ...] = ()
    """What the right answer's key holds for each of the `choices`, in their order, where it is no number."""
    group: str = "group"
    """The key by which lines are put together; the mean over the groups is told as well."""
    shots: Natural = 0
    """How many solved examples stand before each question; they are not measured."""
    choose: Literal["fixed", "random"] = "fixed"
    """Which: the first, or as many drawn by `seed`; the same before every question."""
    seed: Natural = 0
    """Draws the examples."""
    examples: str = ""
    """A file of the same kind to take examples from; empty: the task's own, whose examples are then left out."""
    until: tuple[str, ...] = ("\n\n",)
    """What ends a written answer."""
    max_tokens: Count = 128
    """The most tokens of a written answer."""
    pattern: str = ""
    """A regular expression that finds the answer in what was written, its last match, its first group; empty: all."""
    ignore: tuple[str, ...] = ()
    """Regular expressions of what does not count in an answer, such as commas in numbers."""
    ignore_case: bool = False
    """Whether capitals do not count in an answer."""
    same_answers: bool = False
    """Whether all lines may have the same right answer; otherwise that is taken for a mistake in the file."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for setting, pattern in [("pattern", self.pattern), *(("ignore", one) for one in self.ignore)]:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ConfigError(
                    f"TaskConfig: `{setting}` is no regular expression: {error}; got {pattern!r}",
                    hint="write it as Python's `re` reads it",
                ) from None
        if self.labels and len(self.labels) != len(self.choices):
            raise ConfigError(
                f"TaskConfig: {len(self.labels)} `labels` for {len(self.choices)} `choices`",
                hint="give one label for each choice, in the same order",
            )
        if self.shots and self.kind in ("pairs", "text"):
            raise ConfigError(
                f"TaskConfig: {self.shots} examples before a task of kind `{self.kind}`, which asks no question",
                hint="leave `shots` at 0",
            )
