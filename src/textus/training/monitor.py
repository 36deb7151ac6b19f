"""Divergence: judge each step before its update, from a running window of losses and gradient norms.

The window is part of the training state, so a resumed run judges as the uninterrupted one would.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Judgement = Literal["ok", "non-finite", "spike", "overflow", "left-out"]
"""`overflow` is fp16's ordinary search for a loss scale; `left-out` a batch that a rollback has ruled out."""
Limits = tuple[float, float]
"""Of loss and gradient norm."""
LONGEST_BAD_ROW = 8
"""Bad steps in a row after which no policy goes on."""

LOSS_FLOOR = 1.1
"""A loss below this multiple of its window's mean is no spike."""
NORM_FLOOR = 5.0
"""The same for gradient norms."""


@dataclass(frozen=True)
class Verdict:
    """What the monitor thinks of one step."""

    judgement: Judgement
    reason: str = ""


class Monitor:
    """Remember recent losses and gradient norms, and say which step does not belong among them.

    A step is a spike when its loss or its gradient norm lies more than `sigmas` standard deviations above the mean of
    the last `window` steps, once half of the window is filled, and is a multiple of that mean (`LOSS_FLOOR`,
    `NORM_FLOOR`): losses vary little from step to step, while gradient norms have a long tail that clipping deals with.
    """

    def __init__(self, sigmas: float, window: int) -> None:
        self.sigmas = sigmas
        self.window = window
        # one more than the window: who judges ahead of the newest step looks at those before it
        self.losses: deque[float] = deque(maxlen=window + 1)
        self.norms: deque[float] = deque(maxlen=window + 1)
        self.entered = False
        """Whether the newest step is in the window."""
        self.bad_row = 0

    def limits(self, *, without_newest: bool = False) -> Limits:
        """Return what the next step's loss and gradient norm may be; infinite while the window is young.

        `without_newest` is for a device that must know before it has told what the newest step came to.
        """
        skipped = int(without_newest and self.entered)
        return self._limit(self.losses, LOSS_FLOOR, skipped), self._limit(self.norms, NORM_FLOOR, skipped)

    def judge(self, loss: float, gradient_norm: float, limits: Limits | None = None) -> Verdict:
        """Judge a step, by `limits` where the device has done so, let it into the window, and count the bad row.

        A spike enters at its limit: one alone moves the window little, and a lasting change is soon no spike any more.
        """
        limits = self.limits() if limits is None else limits
        self.entered = False
        for name, value in (("loss", loss), ("gradient norm", gradient_norm)):
            if not math.isfinite(value):
                self.bad_row += 1
                return Verdict("non-finite", f"{name} is {value}")
        if not gradient_norm:  # nothing was to be learnt, which says nothing of how large a gradient is
            self.bad_row = 0
            return Verdict("ok")
        self.entered = True
        self.losses.append(min(loss, limits[0]))
        self.norms.append(min(gradient_norm, limits[1]))
        for name, value, limit in (("loss", loss, limits[0]), ("gradient norm", gradient_norm, limits[1])):
            if value > limit:
                self.bad_row += 1
                return Verdict("spike", f"{name} {value:.4g} is above {limit:.4g}, the limit by its last steps")
        self.bad_row = 0
        return Verdict("ok")

    def leave_out(self) -> Verdict:
        """Pass over a step that a rollback has ruled out: it was bad, and counts in the present row of bad ones."""
        self.entered = False
        self.bad_row += 1
        return Verdict("left-out", "a rollback ruled this batch out")

    def _limit(self, values: deque[float], floor: float, skipped: int) -> float:
        past = list(values)[: len(values) - skipped][-self.window :]
        if len(past) < self.window // 2:
            return math.inf
        mean = math.fsum(past) / len(past)
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in past) / len(past))
        return max(mean + self.sigmas * deviation, floor * mean)

    def stalled(self, first_loss: float) -> bool:
        """Tell whether a full window of losses lies no lower than 99 % of the loss before any learning."""
        past = list(self.losses)[-self.window :]
        return len(past) == self.window and math.fsum(past) / len(past) > 0.99 * first_loss

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, as JSON-like values; floats survive JSON exactly."""
        return {
            "losses": list(self.losses),
            "norms": list(self.norms),
            "entered": self.entered,
            "bad_row": self.bad_row,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state."""
        self.losses.clear()
        self.losses.extend(state["losses"])
        self.norms.clear()
        self.norms.extend(state["norms"])
        self.entered = state["entered"]
        self.bad_row = state["bad_row"]
