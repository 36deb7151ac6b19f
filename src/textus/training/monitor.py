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
LONGEST_BAD_ROW = 8
"""Bad steps in a row after which no policy goes on."""


@dataclass(frozen=True)
class Verdict:
    """What the monitor thinks of one step."""

    judgement: Judgement
    reason: str = ""


class Monitor:
    """Remember recent losses and gradient norms, and say which step does not belong among them.

    A step is a spike when its loss or its gradient norm lies more than `sigmas` standard deviations above the mean of
    the last `window` good steps, once a quarter of the window is filled.
    """

    def __init__(self, sigmas: float, window: int) -> None:
        self.sigmas = sigmas
        self.losses: deque[float] = deque(maxlen=window)
        self.norms: deque[float] = deque(maxlen=window)
        self.bad_row = 0

    def judge(self, loss: float, gradient_norm: float) -> Verdict:
        """Judge a step; a good one enters the window, a bad one is counted in the present row of bad ones."""
        verdict = self._judge(loss, gradient_norm)
        if verdict.judgement == "ok":
            self.losses.append(loss)
            self.norms.append(gradient_norm)
            self.bad_row = 0
        else:
            self.bad_row += 1
        return verdict

    def _judge(self, loss: float, gradient_norm: float) -> Verdict:
        if not math.isfinite(loss):
            return Verdict("non-finite", f"loss is {loss}")
        if not math.isfinite(gradient_norm):
            return Verdict("non-finite", f"gradient norm is {gradient_norm}")
        for name, value, past in (("loss", loss, self.losses), ("gradient norm", gradient_norm, self.norms)):
            limit = self._limit(past)
            if value > limit:
                above = f"{name} {value:.4g} is above {limit:.4g}"
                return Verdict("spike", f"{above}, {self.sigmas:g} sigmas over its window")
        return Verdict("ok")

    def _limit(self, past: deque[float]) -> float:
        assert past.maxlen is not None
        if len(past) < past.maxlen // 4:
            return math.inf
        mean = math.fsum(past) / len(past)
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in past) / len(past))
        # A window that is nearly constant would call its own rounding a spike.
        return mean + max(self.sigmas * deviation, 0.05 * abs(mean))

    def stalled(self, first_loss: float) -> bool:
        """Tell whether a full window of losses lies no lower than 99 % of the loss before any learning."""
        full = len(self.losses) == self.losses.maxlen
        return full and math.fsum(self.losses) / len(self.losses) > 0.99 * first_loss

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, as JSON-like values; floats survive JSON exactly."""
        return {"losses": list(self.losses), "norms": list(self.norms), "bad_row": self.bad_row}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a saved state."""
        self.losses.clear()
        self.losses.extend(state["losses"])
        self.norms.clear()
        self.norms.extend(state["norms"])
        self.bad_row = state["bad_row"]
