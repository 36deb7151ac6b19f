"""An average of the weights over the last part of a run: flatter than the last ones, and often better.

Izmailov et al. 2018, arXiv 1803.05407 (their plain mean); Polyak and Juditsky 1992. With decay `d`, after `t` steps

    average = sum of d^(t - i) w_i / sum of d^(t - i),   i = 1 ... t

kept by `average += (w_t - average) (1 - d) / (1 - d^t)`. It is the moving average without the bias of its first value,
and the plain mean where `d` goes to 1, when the share is `1 / t`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from textus.model.transformer import Transformer
from textus.training.recipe import Recipe


class Average:
    """The average of a model's weights; it holds nothing before its first step, and never where none is asked for.

    How many steps are in it follows from the step's number, so that tensors are all it has to save.
    """

    def __init__(self, model: Transformer, recipe: Recipe) -> None:
        self._live = model.own_parameters()
        part = 0.0 if recipe.ema == recipe.swa == "off" else 1.0 if recipe.swa == "off" else recipe.swa
        self.first = recipe.steps - max(1, round(part * recipe.steps)) + 1 if part else recipe.steps + 1
        """The first step whose weights are in it."""
        self._decay = 1.0 if recipe.ema == "off" else recipe.ema
        self.values: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step`, whether it has changed them or not."""
        count = step - self.first + 1
        if count < 1:
            return
        if count == 1:
            self.values = {name: value.detach().clone() for name, value in self._live.items()}
            return
        torch._foreach_lerp_(list(self.values.values()), list(self._live.values()), share(self._decay, count))

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Put the average in the place of the weights, where it has begun, and back."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def settle(self) -> None:
        """Leave the average in the model for good."""
        self._copy(self.values)

    def tensors(self) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        """Return the weights to be measured and left, and those that training goes on from, where they are others."""
        return (self.values, self._live) if self.values else (self._live, {})

    def restore(self, live: Mapping[str, Tensor]) -> None:
        """Take the weights that are in the model as the average, and put `live` there; the converse of `tensors`."""
        self.values = {name: value.detach().clone() for name, value in self._live.items()} if live else {}
        self._copy(live)

    @torch.no_grad()
    def _copy(self, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            self._live[name].copy_(value)

    @torch.no_grad()
    def _swap(self) -> None:
        # values and not pointers: what has wrapped or compiled the model may hold on to its memory
        for name, value in self.values.items():
            live = self._live[name].detach().clone()
            self._live[name].copy_(value)
            value.copy_(live)


def share(decay: float, count: int) -> float:
    """Return the share of the newest of `count` weights in their average.

    >>> share(1.0, 4), round(share(0.5, 2), 4), round(share(0.9, 1000), 4)
    (0.25, 0.6667, 0.1)
    """
    return 1 / count if decay == 1 else (1 - decay) / (1 - decay**count)
