"""The learning rate over a run: a function of how far the run is, by name.

To add one, write a function of `(progress, decay_fraction)` that goes from 1 to 0, and enter it in `SCHEDULES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable


def linear(progress: float, decay_fraction: float) -> float:
    """Fall in a straight line.

    >>> linear(0.25, 0.4)
    0.75
    """
    return 1.0 - progress


def cosine(progress: float, decay_fraction: float) -> float:
    """Fall along half a cosine (Loshchilov and Hutter, 2017).

    >>> cosine(0.5, 0.4)
    0.5
    """
    return round(0.5 * (1.0 + math.cos(math.pi * progress)), 15)


def wsd(progress: float, decay_fraction: float) -> float:
    """Stay, then fall in a straight line over the last `decay_fraction` (warmup-stable-decay; Hu et al., 2024).

    >>> wsd(0.5, 0.4), wsd(0.8, 0.4)
    (1.0, 0.5)
    """
    return round(min(1.0, (1.0 - progress) / decay_fraction), 15)


SCHEDULES: dict[str, Callable[[float, float], float]] = {"linear": linear, "cosine": cosine, "wsd": wsd}


def factor(
    name: str, step: int, steps: int, *, warmup_steps: int, decay_fraction: float = 0.4, final: float = 0.0
) -> float:
    """Return the multiple of the peak learning rate for update number `step`, the first being 1.

    >>> [round(factor("linear", step, 6, warmup_steps=2), 3) for step in (1, 2, 4, 6)]
    [0.5, 1.0, 0.75, 0.25]
    """
    if step <= warmup_steps:
        return step / warmup_steps
    progress = (step - 1 - warmup_steps) / (steps - warmup_steps)
    return final + (1.0 - final) * SCHEDULES[name](progress, decay_fraction)


DECAYS: dict[str, Callable[[float, float], float]] = {
    "constant": lambda progress, rate: 1.0,
    "linear": lambda progress, rate: 1.0 - progress,
    "rate": lambda progress, rate: rate,
}
"""The multiple of the weight decay, from how far the run is and the multiple of the learning rate; it is multiplied by
the learning rate in every update, so that "rate" falls as its square (Schaipp et al. 2025, arXiv 2501.18965)."""
