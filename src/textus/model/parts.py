"""The parts of a block in which families differ, each chosen by the family's traits.

GPT-2 is of Radford et al. 2019, BERT of Devlin et al. 2018 (arXiv 1810.04805), ModernBERT of Warner et al. 2024 (arXiv
2412.13663), whose first attention has no norm before it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from textus.model.attention import Attention
from textus.model.config import ModelConfig
from textus.model.family import TRAITS
from textus.model.layers import FeedForward, LayerNorm, Linear, RMSNorm
from textus.model.precision import compute_dtype
from textus.model.rotary import Rotation


class PlainAttention(Attention):
    """Attend without norms on queries and keys."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        del self.query_norm, self.key_norm

    def _normed(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        return query.float(), key.float()


class UnturnedAttention(PlainAttention):
    """Attend where the embedding holds the positions already."""

    def _turned(self, x: Tensor, rotation: Rotation, dtype: torch.dtype) -> Tensor:
        return x.to(dtype)


class GeluFeedForward(FeedForward):
    """Transform each position by itself: GELU of one projection times another, and one down."""

    def forward(self, x: Float[Tensor, "batch time hidden"]) -> Float[Tensor, "batch time hidden"]:
        """Return what is added to the state."""
        down: Tensor = self.down(functional.gelu(self.gate(x)) * self.up(x))
        return down


class UngatedFeedForward(nn.Module):
    """Transform each position by itself: one projection up, GELU, one down, both with biases."""

    def __init__(self, hidden_size: int, intermediate_size: int, *, tanh: bool) -> None:
        super().__init__()
        self.up = Linear(hidden_size, intermediate_size, bias=True)
        self.down = Linear(intermediate_size, hidden_size, bias=True)
        self._approximate = "tanh" if tanh else "none"

    def forward(self, x: Float[Tensor, "batch time hidden"]) -> Float[Tensor, "batch time hidden"]:
        """Return what is added to the state."""
        down: Tensor = self.down(functional.gelu(self.up(x), approximate=self._approximate))
        return down


class Unnormed(nn.Module):
    """Stand where other families have a norm."""

    def forward(self, x: Float[Tensor, "*rows size"], dtype: torch.dtype) -> Float[Tensor, "*rows size"]:
        """Return the rows as `dtype`."""
        return x.to(dtype)


class HeadTransform(nn.Module):
    """Turn a state into what the vocabulary's matrix reads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = Linear(config.hidden_size, config.hidden_size, bias=TRAITS[config.family].biases == "all")
        self.norm = norm(config)

    def forward(self, states: Float[Tensor, "*rows hidden"]) -> Float[Tensor, "*rows hidden"]:
        """Return the transformed states."""
        transformed: Tensor = self.norm(functional.gelu(self.dense(states)), compute_dtype(states))
        return transformed


def norm(config: ModelConfig) -> nn.Module:
    """Return a norm of the state."""
    traits = TRAITS[config.family]
    if traits.subtracts_mean:
        return LayerNorm(config.hidden_size, config.norm_epsilon, bias=traits.biases == "all")
    return RMSNorm(config.hidden_size, config.norm_epsilon)


def attention(config: ModelConfig, layer: int) -> Attention:
    """Return the attention of a block."""
    traits = TRAITS[config.family]
    if traits.query_norms:
        return Attention(config, layer)
    return (PlainAttention if traits.positions == "rotary" else UnturnedAttention)(config, layer)


def feed_forward(config: ModelConfig) -> nn.Module:
    """Return the feed-forward of a block."""
    traits = TRAITS[config.family]
    if not traits.is_gated:
        tanh = traits.activation == "gelu_tanh"
        return UngatedFeedForward(config.hidden_size, config.intermediate_size, tanh=tanh)
    gated = FeedForward if traits.activation == "silu" else GeluFeedForward
    return gated(config.hidden_size, config.intermediate_size)
