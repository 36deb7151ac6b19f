"""A batch that grows: a pure function of the step's number, so that the data of a step needs no memory of others.

Small batches learn more from a token while the loss falls fast, large ones when it hardly does (McCandlish et al. 2018,
arXiv 1812.06162). The batch doubles, since every other size is one more shape to compile for.
"""

from __future__ import annotations

import math


def stages(rows: int, ramp_steps: int, start: float) -> list[tuple[int, int]]:
    """Return where each stage of the ramp ends, in steps, and its windows a step; all of the same length.

    >>> stages(64, 100, 0.25)
    [(50, 16), (100, 32)]
    """
    count = math.ceil(round(math.log2(1 / start), 9))
    return [(ramp_steps * (n + 1) // count, max(1, round(rows * start * 2**n))) for n in range(count)]


def rows_before(steps: int, rows: int, ramp_steps: int, start: float) -> int:
    """Return the windows that the first `steps` steps show together, where a whole batch has `rows`.

    >>> rows_before(10, rows=64, ramp_steps=0, start=0.25), rows_before(60, rows=64, ramp_steps=100, start=0.25)
    (640, 1120)
    """
    total = begin = 0
    for end, shown in stages(rows, ramp_steps, start):
        total += shown * (min(max(steps, begin), end) - begin)
        begin = end
    return total + rows * max(0, steps - begin)


def mean_share(part: float, start: float) -> float:
    """Return the mean batch of a run as a share of the whole one, when the ramp takes this part of the steps.

    >>> mean_share(0.5, 0.25)
    0.6875
    """
    found = [share for _, share in stages(2**20, 1, start)]
    return 1 - part * (1 - sum(found) / (2**20 * len(found))) if found else 1.0
