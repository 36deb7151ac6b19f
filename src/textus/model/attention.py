"""Attention that stays inside a document, and the projections around it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from textus.model import kernels
from textus.model.cache import KeyValueCache, Memory
from textus.model.config import ModelConfig
from textus.model.family import TRAITS
from textus.model.layers import Linear, RMSNorm, joined
from textus.model.rotary import Rotation, rotate

_BLOCK = 128
"""Queries that the CPU path handles at once: causal blocks need no keys after them."""
_LONGEST = 1024
"""Up to here the CPU path keeps its probabilities, beyond it their memory (quadratic in time) costs more."""

Bias = Float[Tensor, "#batch 1 time keys"]
"""What is added to the scores: 0 where a query sees a key, minus infinity where it does not."""


class Sight(NamedTuple):
    """Which keys each query sees."""

    bias: Bias | None
    """None: whatever `causal` lets it see."""
    causal: bool
    """No query sees a key after it, with or without a `bias` or `spans` that say more."""
    spans: kernels.Spans | None = None
    """In place of a `bias`: where documents begin and end, for a kernel that needs no mask."""


class Attention(nn.Module):
    """Mix positions: project to queries, keys and values, norm and turn the first two, attend, project back."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.head_size = config.head_size
        self.num_heads = config.num_heads
        queries, keys = config.num_heads * config.head_size, config.num_kv_heads * config.head_size
        biases = "all" if config.attention_biases else TRAITS[config.family].biases
        # apart, so that each matrix keeps its name; `project` joins them where that is faster
        self.query = Linear(config.hidden_size, queries, biases != "none")
        self.key = Linear(config.hidden_size, keys, biases != "none")
        self.value = Linear(config.hidden_size, keys, biases != "none")
        self.output = Linear(queries, config.hidden_size, biases == "all")
        self.query_norm = RMSNorm(config.head_size, config.norm_epsilon)
        self.key_norm = RMSNorm(config.head_size, config.norm_epsilon)

    def forward(
        self,
        x: Float[Tensor, "batch time hidden"],
        rotation: Rotation,
        sight: Sight,
        cache: KeyValueCache | Memory | None,
    ) -> Float[Tensor, "batch time hidden"]:
        """Return what each position gathers from those it sees."""
        parts = self.query, self.key, self.value
        if sight.spans is not None:
            norms, epsilon = (self.query_norm.weight, self.key_norm.weight), self.query_norm.epsilon
            mixed = kernels.packed_attention(
                joined(x, parts), norms, rotation, sight.spans, self.num_heads, sight.causal, epsilon
            )
        else:
            query, key, value = (part(x).unflatten(-1, (-1, self.head_size)) for part in parts)
            mixed = self._attend(query, key, value, rotation, sight, cache)
        projected: Tensor = self.output(mixed)
        return projected

    def _attend(
        self,
        query: Float[Tensor, "batch time heads head"],
        key: Float[Tensor, "batch time kv_heads head"],
        value: Float[Tensor, "batch time kv_heads head"],
        rotation: Rotation,
        sight: Sight,
        cache: KeyValueCache | Memory | None,
    ) -> Float[Tensor, "batch time heads*head"]:
        dtype = value.dtype
        query, key = (self._turned(part, rotation, dtype).transpose(1, 2) for part in self._normed(query, key))
        value = value.transpose(1, 2)
        if isinstance(cache, KeyValueCache):
            key, value = cache.append(self.layer, key, value)
        elif cache is not None:
            return cache.attend(self.layer, query, key, value).transpose(1, 2).flatten(2)
        return attend(query, key, value, sight.bias, sight.causal).transpose(1, 2).flatten(2)

    def _normed(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        """Return queries and keys as they are before they are turned, in float32."""
        return self.query_norm(query, torch.float32), self.key_norm(key, torch.float32)

    def _turned(self, x: Tensor, rotation: Rotation, dtype: torch.dtype) -> Tensor:
        """Return queries or keys turned by their positions."""
        return rotate(x, rotation, dtype)


def attend(
    query: Float[Tensor, "batch heads time head"],
    key: Float[Tensor, "batch kv_heads keys head"],
    value: Float[Tensor, "batch kv_heads keys head"],
    bias: Bias | None,
    causal: bool,
) -> Float[Tensor, "batch heads time head"]:
    """Average the values that each query sees, weighted by the softmax of its scaled products with the keys.

    `causal` promises that no query sees a key after it, with or without a `bias` that says more.
    """
    if query.device.type == "cpu" and query.requires_grad and query.shape[2] == key.shape[2] <= _LONGEST:
        return _attend_in_blocks(query, key, value, bias, causal)
    grouped = query.shape[1] != key.shape[1]
    return functional.scaled_dot_product_attention(
        query, key, value, attn_mask=bias, is_causal=causal and bias is None, enable_gqa=grouped
    )


def document_bias(
    documents: Int[Tensor, "batch time"], causal: bool, dtype: torch.dtype
) -> Float[Tensor, "batch 1 time time"]:
    """Let each position see its own document, and of that only what is not after it where `causal`.

    >>> document_bias(torch.tensor([[0, 0, 1]]), causal=True, dtype=torch.float32)[0, 0]
    tensor([[0., -inf, -inf],
            [0., 0., -inf],
            [-inf, -inf, 0.]])
    """
    seen = documents.unsqueeze(2) == documents.unsqueeze(1)
    return _as_bias(seen.tril() if causal else seen, dtype).unsqueeze(1)


def causal_bias(time: int, keys: int, device: torch.device, dtype: torch.dtype) -> Float[Tensor, "1 1 time keys"]:
    """Let each of the last `time` positions of `keys` see itself and what stands before it."""
    seen = torch.ones(time, keys, dtype=torch.bool, device=device).tril(keys - time)
    return _as_bias(seen, dtype)[None, None]


def near_bias(
    time: int, keys: int, window: int, causal: bool, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "1 1 time keys"]:
    """Let each of the last `time` positions of `keys` see what is near: of `window` positions its own is the last.

    Where both sides are seen, half a `window` on each, its own position besides.

    >>> near_bias(3, 3, 2, causal=True, device=torch.device("cpu"), dtype=torch.float32)[0, 0]
    tensor([[0., -inf, -inf],
            [0., 0., -inf],
            [-inf, 0., 0.]])
    """
    behind = torch.arange(keys - time, keys, device=device)[:, None] - torch.arange(keys, device=device)
    seen = (behind >= 0) & (behind < window) if causal else behind.abs() <= window // 2
    return _as_bias(seen, dtype)[None, None]


def _as_bias(seen: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, -torch.inf)


def _attend_in_blocks(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, causal: bool) -> Tensor:
    """Attend by plain matrix products, one block of queries after the other.

    On a CPU with bfloat16 products this trains twice as fast as the fused kernel (time 256, 4 heads of 64, 8 rows:
    9 ms against 21 ms forward and backward), and no slower in float32.
    """
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    time, across = query.shape[2], key.transpose(2, 3)
    if bias is None and causal:
        bias = causal_bias(time, time, query.device, query.dtype)
    query = query * query.shape[3] ** -0.5
    mixed = []
    for start in range(0, time, _BLOCK if causal else time):
        stop = min(start + _BLOCK, time) if causal else time
        scores = query[:, :, start:stop] @ across[..., :stop]
        if bias is not None:
            scores = scores + bias[:, :, start:stop, :stop]
        mixed.append(scores.softmax(-1) @ value[:, :, :stop])
    return torch.cat(mixed, 2) if len(mixed) > 1 else mixed[0]
