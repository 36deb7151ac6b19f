"""What helps a model to learn and is no part of it: nothing here is kept, and nothing here is used but in training.

Heads for the tokens after the next one (Gloeckle et al. 2024, arXiv 2404.19737) read the states that the model's head
reads, and share its matrix: each turns a state into the one from which a later token is predicted (as Medusa's do, Cai
et al. 2024, arXiv 2401.10774).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from textus.model.layers import Linear


class FutureHead(nn.Module):
    """Turn each state into that of a later token; at first into itself."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.turn = Linear(hidden_size, hidden_size)

    def forward(self, x: Float[Tensor, "*rows hidden"]) -> Float[Tensor, "*rows hidden"]:
        """Add to the state what is to come of it."""
        turned: Tensor = x + functional.silu(self.turn(x)).to(x.dtype)
        return turned


class Aids(nn.Module):
    """The z-loss and the heads for future tokens."""

    def __init__(self, hidden_size: int, *, z_loss: float, future_tokens: int, future_weight: float) -> None:
        super().__init__()
        self.z_loss = z_loss
        self.future_weight = future_weight
        self.heads = nn.ModuleList(FutureHead(hidden_size) for _ in range(future_tokens))
        self.begin()

    @property
    def settings(self) -> tuple[float, int, float]:
        """Return what they were made with."""
        return self.z_loss, len(self.heads), self.future_weight

    @torch.no_grad()
    def begin(self) -> None:
        """Let every head turn states into themselves."""
        for parameter in self.parameters():
            parameter.zero_()

    def futures(
        self, states: Float[Tensor, "batch time hidden"]
    ) -> Iterator[tuple[int, Float[Tensor, "batch time hidden"]]]:
        """Yield by how many tokens each head looks further than the model's, and its states."""
        for further, head in enumerate(self.heads, 1):
            yield further, head(states)
