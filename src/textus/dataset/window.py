"""What a model is shown at once: tokens, which document each belongs to, and which may be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

PADDING = -1
"""The document number of what fills a row that the text does not."""


@dataclass(frozen=True, eq=False)
class Origin:
    """Where a window's rows were cut: chance that is drawn from this is the same in every batch and on every rank."""

    numbers: Int[Tensor, " batch"]
    """The number of each row, through all epochs."""
    epochs: Int[Tensor, " batch"]
    per_epoch: Int[Tensor, " batch"]
    """How many numbers an epoch takes."""
    places: Int[Tensor, "batch time"]
    """The position of each token in its split; padding is -1."""

    def take(self, rows: Int[Tensor, " rows"]) -> Origin:
        """Return these rows."""
        return Origin(self.numbers[rows], self.epochs[rows], self.per_epoch[rows], self.places[rows])


@dataclass(frozen=True, eq=False)
class Window:
    """Rows of tokens for one step; an objective makes its batch from them."""

    tokens: Int[Tensor, "batch time"]
    documents: Int[Tensor, "batch time"]
    """Documents are numbered 0, 1, 2 ... within a row, in their order; padding is -1."""
    predict: Bool[Tensor, "batch time"]
    """Which tokens may be asked: each that has another before it in its document, once an epoch."""
    origin: Origin | None = None
    """None where the rows were not cut from a split."""

    @classmethod
    def joined(cls, parts: Sequence[Window], order: Int[Tensor, " batch"]) -> Window:
        """Lay the rows of several windows below each other, and return them in this order."""
        origins = [part.origin for part in parts if part.origin is not None]
        origin = None
        if len(origins) == len(parts):
            names = ("numbers", "epochs", "per_epoch", "places")
            origin = Origin(*(torch.cat([getattr(one, name) for one in origins])[order] for name in names))
        return cls(
            tokens=torch.cat([part.tokens for part in parts])[order],
            documents=torch.cat([part.documents for part in parts])[order],
            predict=torch.cat([part.predict for part in parts])[order],
            origin=origin,
        )

    def take(self, rows: Int[Tensor, " rows"]) -> Window:
        """Return these rows."""
        origin = None if self.origin is None else self.origin.take(rows)
        return Window(self.tokens[rows], self.documents[rows], self.predict[rows], origin)

    @property
    def one_document(self) -> Bool[Tensor, " batch"]:
        """Tell of each row whether it is a single document throughout, without padding."""
        return (self.documents == self.documents[:, :1]).all(dim=1)

    @property
    def num_predictions(self) -> int:
        """Count the tokens that may be asked."""
        return int(self.predict.sum())
