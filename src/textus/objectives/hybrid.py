"""Predict the next token, and hidden tokens, by turns: one model that reads both ways."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from textus.dataset.window import Window
from textus.errors import CorpusError
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal, labelled_loss
from textus.objectives.chance import origin_of
from textus.objectives.masked import Masked
from textus.objectives.objective import Batch, Loss, Mixed


@dataclass(frozen=True)
class Hybrid:
    """Ask some rows as `Causal` does and the others as `Masked` does, with the same head (arXiv 2410.24159).

    Which row is which is a fixed sequence over the windows' numbers, so that any number of devices sees the same. A
    masked row counts as much as a causal one: its loss is scaled up to all tokens that could have been asked.
    """

    masked: Masked
    turns: tuple[int, int] = (1, 1)
    """Causal rows to masked rows, evenly spread."""
    switch: int = 0
    """Not 0: windows before this number are causal and those from it on masked, whatever the turns."""
    causal: Causal = dataclasses.field(default_factory=Causal)
    both: bool = False
    """Ask every row both ways: what a model is measured by."""
    attention: Literal["causal"] = "causal"
    prediction_offset: Literal[1] = 1

    def batch(self, window: Window, generator: torch.Generator) -> Mixed:
        """Make a batch of each kind that occurs."""
        causal = self.is_causal(origin_of(window, generator).numbers)
        parts = []
        for asked, objective in ((causal | self.both, self.causal), (~causal | self.both, self.masked)):
            rows = torch.nonzero(asked & window.predict.any(1)).squeeze(1)
            if not len(rows):
                continue
            part = objective.batch(window.take(rows), generator)
            parts.append(part if objective is self.causal else _scaled(part, window.take(rows)))
        if not parts:
            raise CorpusError(
                f"a batch of {window.tokens.shape[0]} x {window.tokens.shape[1]} tokens asks for no prediction",
                hint="its documents are too short to predict anything in; remove empty documents or pack more of them",
            )
        return Mixed(tuple(parts))

    def loss(self, model: Transformer, batch: Batch | Mixed) -> Loss:
        """Sum the losses of both kinds."""
        parts = batch.parts if isinstance(batch, Mixed) else (batch,)
        first, *others = (labelled_loss(model, part) for part in parts)
        return sum(others, first)

    def validation(self) -> Hybrid:
        """Return the question that a model is measured by: every row both ways, 15 % of it hidden."""
        return dataclasses.replace(self, masked=self.masked.validation(), both=True)

    def is_causal(self, numbers: Int[Tensor, " batch"]) -> Bool[Tensor, " batch"]:
        """Tell which windows are asked for their next tokens.

        With turns 1 to 2, of every three windows the third is.
        """
        if self.switch:
            return numbers < self.switch
        causal, masked = self.turns
        both = causal + masked
        return (numbers + 1) * causal // both > numbers * causal // both


def _scaled(batch: Batch, window: Window) -> Batch:
    """Let each row's loss count for all tokens that could have been asked."""
    all_tokens = window.predict[:, 1:].sum(1)
    asked = batch.labelled_rows()
    return dataclasses.replace(
        batch,
        weights=all_tokens / asked.clamp_min(1),
        counts=all_tokens,
        count=int(all_tokens.sum()),
    )
