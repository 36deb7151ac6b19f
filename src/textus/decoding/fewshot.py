"""Prompts that show a few solved examples before the one to solve."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from textus.config import Settings
from textus.errors import ConfigError

INPUT, OUTPUT = "{input}", "{output}"
TEMPLATE = f"{INPUT}\n{OUTPUT}\n\n"
Choice = Literal["fixed", "random", "nearest"]
Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""Give each text a vector."""


@dataclasses.dataclass(frozen=True)
class Example(Settings):
    """A question with its answer."""

    input: str
    """What is asked."""
    output: str
    """What should be written."""


@dataclasses.dataclass(frozen=True)
class Template:
    r"""The form of an example; the prompt ends where the answer would begin.

    >>> Template("Q: {input} A: {output}\n").prompt([Example("1+1", "2")], "1+2")
    'Q: 1+1 A: 2\nQ: 1+2 A:'
    """

    text: str = TEMPLATE
    """With `{input}` and, behind it, `{output}`."""

    def __post_init__(self) -> None:
        if (
            self.text.count(INPUT) != 1
            or self.text.count(OUTPUT) != 1
            or self.text.index(INPUT) > self.text.index(OUTPUT)
        ):
            raise ConfigError(
                f"the template {self.text!r} does not hold {INPUT} and then {OUTPUT}, once each",
                hint="as in 'Question: {input}\\nAnswer: {output}\\n\\n'",
            )

    @property
    def ending(self) -> str:
        """What stands behind an answer, and so what tells that the model's answer is over."""
        return self.text.partition(OUTPUT)[2]

    def prompt(self, examples: Sequence[Example], question: str) -> str:
        """Write the examples and the question; a space right before the answer is left to the model to write."""
        shown = (self._filled(example.input, example.output) for example in examples)
        asked = self.text.partition(OUTPUT)[0].replace(INPUT, question)
        # A model writes the space together with the word behind it, as one token.
        return "".join(shown) + asked.rstrip(" ")

    def _filled(self, question: str, answer: str) -> str:
        before, _, rest = self.text.partition(INPUT)
        between, _, after = rest.partition(OUTPUT)
        return before + question + between + answer + after


def choose_examples(
    examples: Sequence[Example],
    question: str,
    count: int,
    choice: Choice = "fixed",
    *,
    seed: int = 0,
    embed: Embed | None = None,
) -> list[Example]:
    """Choose `count` examples for a question: the first, random ones, or the nearest, which stand nearest to it.

    An example that asks the very same question is never nearest: it would give the answer away. A random choice depends
    on the seed alone, so all questions see the same examples.
    """
    if not 1 <= count <= len(examples):
        raise ConfigError(f"{count} examples of {len(examples)}", hint=f"ask for 1 to {len(examples)}")
    if choice == "fixed":
        return list(examples[:count])
    if choice == "random":
        return random.Random(seed).sample(list(examples), count)
    assert embed is not None, "the nearest are found by vectors"
    others = [example for example in examples if example.input != question]
    if not others:
        return []
    vectors = np.asarray(embed([question, *(example.input for example in others)]), dtype=np.float64)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    order = np.argsort(-(vectors[1:] @ vectors[0]), kind="stable")[:count]
    return [others[place] for place in order[::-1]]
