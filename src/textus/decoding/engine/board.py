"""What a GPU knows of each text that it writes: a line of whole numbers, floating ones by their bits.

The host fills the lines, and the kernels move them on.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textus.decoding.processors import MinP, Temperature, TopK, TopP
from textus.decoding.step import Telling
from textus.decoding.strategy import Greedy, Sample, Strategy

Lines = npt.NDArray[np.int32]
TOKEN, POSITION, WRITTEN, AGE, FIRST, SOURCE = 0, 1, 2, 3, 4, 5
"""Columns: the last token, its place in the text, how many were written before it, steps since the host filled the
line, the first line of the same text in this pass, and where the token is among those drawn last (-1: it is here)."""
TOP, FLAGS, ROW, LOW, HIGH, HEAT, BOUND, LEAST = 6, 7, 8, 9, 10, 11, 12, 13
"""How the text is written: top-k, `GREEDY` and `PROCESSED`, row and seed, temperature, 1 - top-p, min-p."""
ROOM = 14
"""How many tokens may still be written before the host looks, where they are guessed."""
TABLE = 16
"""From here on: the text's blocks."""
GREEDY, PROCESSED = 1, 2
"""No draw; log-probabilities are those after all steps."""
LOST, AGAIN = -1, -2
"""In place of a token: nothing may follow; more tokens tie at the border of top-k than there is room for."""
CHUNK = 64
"""The best logit of every so many is looked at first."""
MOST_KEPT = 64
"""A top-k up to this is drawn by the kernel."""
MOST_LINES = 16
"""A text whose tokens are guessed has no more lines."""
_FILTERS = (Temperature, TopK, TopP, MinP)
"""What the kernel does before it draws, in this order."""


def knobs(strategy: Strategy, telling: Telling, seed: int, row: int) -> Lines | None:
    """Return the columns from `TOP` to `LEAST`, which say how a text is written; None where the kernel cannot.

    It can take the likeliest token, or draw by the filters of `_FILTERS` in their order, top-k among them.
    """
    steps = {type(step): step for step in strategy.processors}
    order = [_FILTERS.index(kind) for kind in steps if kind in _FILTERS]
    known = len(order) == len(strategy.processors) and order == sorted(order)
    if telling.alternatives or not known or type(strategy) not in (Greedy, Sample):
        return None
    top = steps.get(TopK)
    if type(strategy) is Greedy:
        if steps or telling.logprobs == "processed":
            return None
        k, flags = 1, GREEDY
    elif isinstance(top, TopK) and top.k <= MOST_KEPT:
        k, flags = top.k, PROCESSED if telling.logprobs == "processed" else 0
    else:
        return None
    heat, nucleus, least = steps.get(Temperature), steps.get(TopP), steps.get(MinP)
    line = np.zeros(LEAST + 1 - TOP, dtype=np.int32)
    line[:3] = k, flags, row
    line[3:5] = np.array([seed % 2**64], dtype=np.uint64).view(np.int32)
    numbers = (
        heat.temperature if isinstance(heat, Temperature) else 1.0,
        1 - nucleus.p if isinstance(nucleus, TopP) and nucleus.p < 1 else -1.0,  # below 0: all stay
        least.p if isinstance(least, MinP) else 0.0,
    )
    line[5:] = np.array(numbers, dtype=np.float32).view(np.int32)
    return line
