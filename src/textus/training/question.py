"""What a step asks, made ahead of time, and what it comes to when several processes ask it together."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch

from textus.dataset.loader import Loader
from textus.dataset.window import Window
from textus.errors import CorpusError
from textus.objectives.objective import IGNORE, Batch, Objective
from textus.training.recipe import Recipe


@dataclass(frozen=True)
class Question:
    """What a step asks, ready to be sent to the device."""

    number: int
    parts: list[Batch]
    """Micro-batches."""
    count: int
    """Tokens asked in all of them, of all processes once these have agreed."""
    positions: int
    """Tokens read, likewise."""
    silent: Batch | None = None
    """A part that asks nothing, for a process that has fewer parts than others."""

    def agreed(self, count: int, positions: int, parts: int) -> Question:
        """Return the question of all processes, filled up to as many parts as the longest of them has."""
        if not count:
            raise CorpusError(
                f"step {self.number} asks for no prediction",
                hint="its documents are too short to predict anything in; remove empty documents or pack more of them",
            )
        assert self.silent is not None
        filled = self.parts + [self.silent] * (parts - len(self.parts))
        return dataclasses.replace(self, parts=filled, count=count, positions=positions)


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """Mix the seed for dropout and the objective's draws of one step, so that no random state is carried or saved.

    Ranks draw differently: their rows must not share one dropout.
    """
    return (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) % 2**63


def ask(loader: Loader, objective: Objective, recipe: Recipe, context: int, number: int) -> Question:
    """Make the batch of a step; runs in a thread, while the device is at an earlier one."""
    generator = torch.Generator().manual_seed(step_seed(recipe.seed, number))
    window = loader.window(number - 1)
    pin = recipe.device == "cuda"
    silent = None
    if loader.world > 1:
        silent = _silent(window, context)
        silent = silent.pinned() if pin else silent
    try:
        batch = objective.batch(window, generator)
    except CorpusError:
        if silent is None:
            raise
        return Question(number, [], 0, window.tokens[:, :context].numel(), silent)  # other ranks may ask something
    parts = batch.split(recipe.micro_rows(context))
    return Question(number, [part.pinned() if pin else part for part in parts], batch.count, batch.positions, silent)


def _silent(window: Window, context: int) -> Batch:
    tokens = window.tokens[:1, :context]
    return Batch(tokens, torch.full_like(tokens, IGNORE), None, 0)
