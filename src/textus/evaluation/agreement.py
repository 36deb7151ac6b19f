"""How far guesses agree with labels: accuracy, macro F1 and Matthews' correlation, with errors.

```
accuracy   right / all
macro F1   mean over classes of 2 right / (guessed + true), over those that are guessed or true anywhere
MCC        (c s - sum_k t_k p_k) / sqrt((s^2 - sum p_k^2)(s^2 - sum t_k^2))      0 where it is undefined
```
with `c` right guesses of `s`, `t_k` of class `k` and `p_k` guessed to be (Gorodkin 2004). What belongs together (the
words of a sentence) is resampled together: errors are those of a bootstrap over texts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

_SAMPLES = 300
NAMES = ("accuracy", "macro_f1", "mcc")


@dataclass(frozen=True)
class Agreement:
    """Scores by name, each with its standard error."""

    values: dict[str, float]
    errors: dict[str, float]
    items: int


def agreement(
    truth: Int[ndarray, " items"], guess: Int[ndarray, " items"], texts: Int[ndarray, " items"], classes: int
) -> Agreement:
    """Score guesses; `texts` numbers, from 0, the text that each item is of.

    >>> found = agreement(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]), np.arange(4), 2)
    >>> {name: round(value, 3) for name, value in found.values.items()}
    {'accuracy': 0.75, 'macro_f1': 0.733, 'mcc': 0.577}
    """
    cells, count, numbers = truth * classes + guess, int(texts.max()) + 1, np.random.default_rng(0)

    def scores(weights: ndarray | None) -> tuple[float, float, float]:
        return _scores(np.bincount(cells, weights, classes * classes).reshape(classes, classes).astype(np.float64))

    samples = []
    for _ in range(_SAMPLES):
        times = np.bincount(numbers.integers(0, count, count), minlength=count)[texts]
        if times.any():
            samples.append(scores(times.astype(np.float64)))
    errors = np.array(samples).std(axis=0, ddof=1)
    values = dict(zip(NAMES, scores(None), strict=True))
    return Agreement(values, dict(zip(NAMES, errors.tolist(), strict=True)), len(truth))


def _scores(confusion: Float[ndarray, "classes classes"]) -> tuple[float, float, float]:
    """Return accuracy, macro F1 and MCC of counts by label and guess."""
    total, right = float(confusion.sum()), confusion.diagonal()
    true, guessed = confusion.sum(1), confusion.sum(0)
    there = true + guessed > 0
    f1 = float((2 * right[there] / (true + guessed)[there]).mean())
    spread = (total**2 - float(guessed @ guessed)) * (total**2 - float(true @ true))
    together = float(right.sum()) * total - float(true @ guessed)
    return float(right.sum()) / total, f1, together / spread**0.5 if spread > 0 else 0.0
