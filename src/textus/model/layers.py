"""The parts that a block is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from textus.model import kernels
from textus.model.precision import compute_dtype

Role = Literal["matrix", "embedding", "head", "norm"]
"""What a parameter does, which is what optimizers ask: each role has its own step size and decay."""


class Linear(nn.Linear):
    """Multiply by a matrix: no bias unless asked, and no first values (`Transformer.initialise` draws them)."""

    def __init__(self, inputs: int, outputs: int, bias: bool = False) -> None:
        super().__init__(inputs, outputs, bias)

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


class Embedding(nn.Embedding):
    """Look up a row for each token; first values as in `Linear`."""

    def reset_parameters(self) -> None:
        """Leave the memory as it is."""


class Bias(nn.Module):
    """Add a number to each column."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size))

    def forward(self, x: Float[Tensor, "*rows size"]) -> Float[Tensor, "*rows size"]:
        """Return the sums in the format of `x`."""
        return x + self.weight.to(x.dtype)


class Scale(nn.Module):
    """Multiply each column by a number."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Float[Tensor, "*rows size"]) -> Float[Tensor, "*rows size"]:
        """Return the products in the format of `x`."""
        return x * self.weight.to(x.dtype)


class RMSNorm(nn.Module):
    """Divide by the root mean square and scale, in float32."""

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x: Float[Tensor, "*rows size"], dtype: torch.dtype) -> Float[Tensor, "*rows size"]:
        """Return the normed rows as `dtype`."""
        return kernels.rms_norm(x, self.weight, self.epsilon, dtype)


class LayerNorm(nn.Module):
    """Subtract the mean, divide by the standard deviation and scale, in float32; no bias unless asked."""

    def __init__(self, size: int, epsilon: float, *, bias: bool = False) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size)) if bias else None

    def forward(self, x: Float[Tensor, "*rows size"], dtype: torch.dtype) -> Float[Tensor, "*rows size"]:
        """Return the normed rows as `dtype`."""
        weight, bias = self.weight.float(), None if self.bias is None else self.bias.float()
        return functional.layer_norm(x.float(), weight.shape, weight, bias, self.epsilon).to(dtype)


class FeedForward(nn.Module):
    """Transform each position by itself: a gated pair of projections up, one down."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate = Linear(hidden_size, intermediate_size)
        self.up = Linear(hidden_size, intermediate_size)
        self.down = Linear(intermediate_size, hidden_size)

    def forward(self, x: Float[Tensor, "batch time hidden"]) -> Float[Tensor, "batch time hidden"]:
        """Return what is added to the state."""
        if kernels.fuses(x) and torch.is_grad_enabled():  # else joining the matrices costs more than it saves
            down: Tensor = self.down(kernels.joined_swiglu(joined(x, (self.gate, self.up))))
        else:
            down = self.down(kernels.swiglu(self.gate(x), self.up(x)))
        return down


def joined(x: Float[Tensor, "*rows inputs"], matrices: Sequence[nn.Module]) -> Float[Tensor, "*rows outputs"]:
    """Multiply `x` by all matrices in one product: a GPU reads `x` once then, and gets its gradient at once."""
    kind = type(matrices[0])
    if any(type(matrix) is not kind or getattr(matrix, "bias", None) is not None for matrix in matrices):
        return torch.cat([matrix(x) for matrix in matrices], -1)
    if kind is not Linear:  # someone has put something in their place
        together = getattr(kind, "together", None)
        return together(x, matrices) if together else torch.cat([matrix(x) for matrix in matrices], -1)
    dtype = compute_dtype(x)
    return functional.linear(x, torch.cat([matrix.get_parameter("weight").to(dtype) for matrix in matrices]))


def role(module: nn.Module, name: str = "weight") -> Role:
    """Say what a parameter of a module is for; a bias counts as a norm, and the head is told apart by its owner."""
    if name == "bias" or isinstance(module, RMSNorm | LayerNorm | Bias | Scale):
        return "norm"
    if isinstance(module, Embedding):
        return "embedding"
    assert isinstance(module, Linear), f"{type(module).__name__} has not said what its parameters are for"
    return "matrix"
