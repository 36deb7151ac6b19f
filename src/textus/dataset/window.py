"""What a model is shown at once: tokens, which document each belongs to, and which may be asked."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Int
from torch import Tensor

PADDING = -1
"""The document number of what fills a row that the text does not."""


@dataclass(frozen=True, eq=False)
class Window:
    """Rows of tokens for one step; an objective makes its batch from them."""

    tokens: Int[Tensor, "batch time"]
    documents: Int[Tensor, "batch time"]
    """Documents are numbered 0, 1, 2 ... within a row, in their order; padding is -1."""
    predict: Bool[Tensor, "batch time"]
    """Which tokens may be asked: each that has another before it in its document, once an epoch."""

    @property
    def one_document(self) -> Bool[Tensor, " batch"]:
        """Tell of each row whether it is a single document throughout, without padding."""
        return (self.documents == self.documents[:, :1]).all(dim=1)

    @property
    def num_predictions(self) -> int:
        """Count the tokens that may be asked."""
        return int(self.predict.sum())
