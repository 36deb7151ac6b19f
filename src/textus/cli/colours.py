"""Show how likely a model found each token that it wrote, in colour on a terminal and as a table anywhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.text import Text

    from textus.decoding.piece import Completion

STEPS = ((0.5, "green"), (0.2, "cyan"), (0.05, "yellow"), (0.01, "magenta"), (0.0, "red"))
"""The colour of a token that is at least so likely."""


def show_probabilities(prompt: str, completion: Completion, token_text: Callable[[int], str], stream: TextIO) -> None:
    """Print the text with its tokens coloured by probability, then a line for each token with its alternatives."""
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, soft_wrap=True, highlight=False)
    shown = [(token_text(token), math.exp(logprob)) for token, logprob in _tokens(completion)]
    console.print(Text.assemble(prompt, *((text, colour(probability)) for text, probability in shown)))
    whose = "the model itself" if completion.logprobs_mode == "raw" else "all steps"
    console.print(Text(f"\nprobability under {whose}, token, and what else could have stood there"))
    for (text, probability), alternatives in zip(shown, completion.alternatives, strict=True):
        console.print(_line(text, probability, [(token_text(other), logprob) for other, logprob in alternatives]))


def colour(probability: float) -> str:
    """Return the colour of a probability.

    >>> colour(0.9), colour(0.001)
    ('green', 'red')
    """
    return next(name for least, name in STEPS if probability >= least or not least)


def _tokens(completion: Completion) -> list[tuple[int, float]]:
    return list(zip(completion.tokens, completion.logprobs, strict=True))


def _line(text: str, probability: float, alternatives: list[tuple[str, float]]) -> Text:
    from rich.text import Text

    line = Text.assemble(f"{probability:7.2%}  ", (f"{text!r:<20}", colour(probability)))
    for other, logprob in alternatives:
        line.append(f"  {other!r} {math.exp(logprob):.2%}")
    return line
