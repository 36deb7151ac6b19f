"""The parts in which ModernBERT (Warner et al. 2024, arXiv 2412.13663) differs from Qwen3.

LayerNorms without biases, one behind the embedding and none before the first attention; no norms on queries and keys;
GELU in the gate; and a head that transforms a state before the vocabulary's matrix reads it. All layers see the whole
context.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from textus.model.attention import Attention, Sight
from textus.model.cache import KeyValueCache
from textus.model.config import ModelConfig
from textus.model.layers import LayerNorm, Linear
from textus.model.precision import compute_dtype
from textus.model.rotary import Rotation


class PlainAttention(Attention):
    """Attend without norms on queries and keys."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        del self.query_norm, self.key_norm

    def _normed(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        return query.float(), key.float()


class GeluFeedForward(nn.Module):
    """Transform each position by itself: GELU of one projection times another, and one down."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.gate = Linear(hidden_size, intermediate_size)
        self.up = Linear(hidden_size, intermediate_size)
        self.down = Linear(intermediate_size, hidden_size)

    def forward(self, x: Float[Tensor, "batch time hidden"]) -> Float[Tensor, "batch time hidden"]:
        """Return what is added to the state."""
        down: Tensor = self.down(functional.gelu(self.gate(x)) * self.up(x))
        return down


class EncoderBlock(nn.Module):
    """Add to the state what attention and feed-forward find in it; the first has no norm before attention."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        if layer:
            self.attention_norm = LayerNorm(config.hidden_size, config.norm_epsilon)
        self.attention = PlainAttention(config, layer)
        self.feed_forward_norm = LayerNorm(config.hidden_size, config.norm_epsilon)
        self.feed_forward = GeluFeedForward(config.hidden_size, config.intermediate_size)
        self.dropout = config.dropout
        self.is_first = not layer

    def forward(
        self,
        x: Float[Tensor, "batch time hidden"],
        added: Float[Tensor, "batch time hidden"] | None,
        rotation: Rotation,
        sight: Sight,
        cache: KeyValueCache | None,
    ) -> tuple[Float[Tensor, "batch time hidden"], Float[Tensor, "batch time hidden"]]:
        """Return the state and what is still to be added to it, as they are taken."""
        dtype = compute_dtype(x)
        x = x if added is None else x + added
        normed = x.to(dtype) if self.is_first else self.attention_norm(x, dtype)
        x = x + self._drop(self.attention(normed, rotation, sight, cache))
        return x, self._drop(self.feed_forward(self.feed_forward_norm(x, dtype)))

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training) if self.dropout else x


class HeadTransform(nn.Module):
    """Turn a state into what the vocabulary's matrix reads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = Linear(config.hidden_size, config.hidden_size)
        self.norm = LayerNorm(config.hidden_size, config.norm_epsilon)

    def forward(self, states: Float[Tensor, "*rows hidden"]) -> Float[Tensor, "*rows hidden"]:
        """Return the transformed states."""
        transformed: Tensor = self.norm(functional.gelu(self.dense(states)), compute_dtype(states))
        return transformed
