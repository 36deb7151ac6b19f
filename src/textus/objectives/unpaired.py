"""Learn from answers that are good or bad by themselves, without another one beside each (KTO, arXiv 2402.01306).

With `g` what an answer has gained over the reference, `g = log p - log p'`, and `K` the mean gain of answers to other
prompts than their own, over the micro-batch, 0 at least, without gradient:

```
good    weight (1 - s(beta (g - K)))
bad     weight (1 - s(beta (K - g)))
```
So an answer shares its row with its prompt and the answer to another one, from which `K` is estimated, as TRL does.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from textus.dataset.window import Window
from textus.model.transformer import Transformer
from textus.objectives.objective import Loss
from textus.objectives.preference import PairBatch, Preference, References, pairs_of


@dataclass(frozen=True, eq=False)
class Marked(References):
    """The reference's log-probabilities of answers, with the other one behind each, and which answers are good."""

    good: Bool[np.ndarray, " answers"]

    def of(self, window: Window) -> Float[Tensor, "batch pairs 3"]:
        """Return both log-probabilities, and 1 where the answer is a good one."""
        marks = References(self.offsets, np.repeat(self.good, 2).astype(np.float64))
        return torch.cat([super().of(window), marks.of(window)[..., :1]], -1)


@dataclass(frozen=True)
class Unpaired:
    """Ask whether an answer is a good one."""

    beta: float = 0.1
    good_weight: float = 1.0
    bad_weight: float = 1.0
    attention: Literal["causal"] = "causal"
    prediction_offset: Literal[1] = 1
    training: InitVar[Marked | None] = None
    measured: InitVar[Marked | None] = None

    def __post_init__(self, training: Marked | None, measured: Marked | None) -> None:
        # not fields: the model and the data that they follow from are told of already
        object.__setattr__(self, "_measured", measured)
        object.__setattr__(self, "_pairs", Preference("kto", self.beta, training=training, measured=measured))

    def batch(self, window: Window, generator: torch.Generator) -> PairBatch:
        """Shift the window by one; its documents are answers, each with the other one behind it."""
        pairs: Preference = self.__dict__["_pairs"]
        return pairs.batch(window, generator)

    def loss(self, model: Transformer, batch: PairBatch) -> Loss:
        """Sum the loss over answers."""
        assert batch.reference is not None
        pairs, there = pairs_of(model, batch)
        gain, of_others = pairs.gains
        losses = unpaired_losses(gain, of_others, batch.reference[there][:, 2] > 0, self)
        return Loss(losses.sum(), batch.count)

    def validation(self) -> Unpaired:
        """Return the same question about the answers that the model is measured on."""
        known = self.__dict__["_measured"]
        return Unpaired(self.beta, self.good_weight, self.bad_weight, training=known, measured=known)


def unpaired_losses(
    gain: Float[Tensor, " answers"],
    of_others: Float[Tensor, " answers"],
    good: Bool[Tensor, " answers"],
    asked: Unpaired,
) -> Float[Tensor, " answers"]:
    """Return the loss of each answer."""
    between = of_others.mean().clamp(min=0).detach()
    kept = 1 - (asked.beta * (gain - between)).sigmoid()
    shunned = 1 - (asked.beta * (between - gain)).sigmoid()
    return torch.where(good, asked.good_weight * kept, asked.bad_weight * shunned)
