"""What a model returns."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from textus.model.cache import KeyValueCache


@dataclass(frozen=True)
class ModelOutput:
    """Hold what one pass through the model gave."""

    logits: Float[Tensor, "batch time vocab"]
    """Unnormalised log-probabilities; which token they are about is the model's `prediction_offset`."""
    hidden: Float[Tensor, "batch time hidden"]
    """The last states, normalised: what the head reads."""
    cache: KeyValueCache | None
    """The cache that was passed in, now longer; None where none was."""
