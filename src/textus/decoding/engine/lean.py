"""The same network in fewer and larger steps, for passes of few tokens, whose time goes into calling each step.

Queries, keys and values are one product, and their norms and rotations one step each. Whatever network is given, its
own `encode_at` is the oracle: where the two differ, or a part is of a kind that is not known here, it is used instead.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from textus.decoding.engine.quantize import is_quantized
from textus.model.attention import Attention, Sight, attend
from textus.model.cache import Memory
from textus.model.config import ModelConfig
from textus.model.layers import FeedForward, RMSNorm
from textus.model.precision import compute_dtype
from textus.model.rotary import Rotation
from textus.model.transformer import Block, Transformer

TRIED = 5
"""So many tokens are read both ways before the lean one is trusted."""


class Reads(Protocol):
    """Whoever turns tokens into states."""

    def encode_at(
        self, tokens: Int[Tensor, " tokens"], positions: Int[Tensor, " tokens"], memory: Memory
    ) -> Float[Tensor, "tokens hidden"]:
        """Return the last states, as `Transformer.encode_at` does."""
        ...


def leanest(model: Transformer) -> Reads:
    """Return what reads as `model` does, in fewer steps if that can be."""
    known = all(
        type(block) is Block and type(block.attention) is Attention and type(block.feed_forward) is FeedForward
        for block in model.blocks
    )
    weight = model.embedding.weight
    if not known or type(model.norm) is not RMSNorm or _has_bias(model) or compute_dtype(weight) != weight.dtype:
        return model
    lean = Lean(model)
    return lean if _is_same(lean, model) else model


def _is_same(lean: Lean, model: Transformer) -> bool:
    """Send a few tokens through the first block both ways: all blocks are alike."""
    weight = model.embedding.weight
    count = min(TRIED, model.config.vocab_size, model.config.context_length)
    tokens, whole = torch.arange(count, device=weight.device), _Whole()
    with torch.inference_mode():
        first, added = model._embed(tokens[None])
        x, more = model.blocks[0](first, added, model._rotary.of(tokens), Sight(None, True), whole)
        wanted = (x if more is None else x + more)[0].float()
        found = lean.through(model.embedding(tokens), lean.turns(tokens, weight.dtype), 0, whole).float()
    # a state that is rounded to 8 bits may fall to the other side
    bound = 0.05 if is_quantized(model) else 10 * torch.finfo(weight.dtype).eps ** 0.75
    return bool((found - wanted).norm() <= bound * wanted.norm())


class Lean:
    """A transformer of the Qwen3 shape."""

    def __init__(self, model: Transformer) -> None:
        self._model = model
        self._layers = [_Layer(block, model.config) for block in model.blocks]

    def encode_at(
        self, tokens: Int[Tensor, " tokens"], positions: Int[Tensor, " tokens"], memory: Memory
    ) -> Float[Tensor, "tokens hidden"]:
        """Return the last states of tokens of any texts, each at its position in its own; `memory` holds the texts."""
        model = self._model
        x: Tensor = model.embedding(tokens)
        turns = self.turns(positions, x.dtype)
        for number in range(len(self._layers)):
            x = self.through(x, turns, number, memory)
        return functional.rms_norm(x, x.shape[-1:], model.norm.get_parameter("weight"), model.config.norm_epsilon)

    def turns(self, positions: Int[Tensor, " tokens"], dtype: torch.dtype) -> Rotation:
        """Return what both halves of a head are multiplied with, and what with when they have changed places."""
        cosine, sine = self._model._rotary.of(positions)
        return torch.cat((cosine, cosine), -1).to(dtype), torch.cat((-sine, sine), -1).to(dtype)

    def through(self, x: Tensor, turns: Rotation, number: int, memory: Memory) -> Float[Tensor, "tokens hidden"]:
        """Return the states behind one block."""
        layer = self._layers[number]
        return layer.fed_forward(layer.attended(x, turns, number, memory))


class _Layer:
    def __init__(self, block: nn.Module, config: ModelConfig) -> None:
        assert isinstance(block, Block)
        self._block, attention = block, block.attention
        parts = (attention.query, attention.key, attention.value)
        self._project = getattr(attention, "query_key_value", None) or _Joined(parts)
        self._epsilon = config.norm_epsilon
        self._norms = tuple(norm.get_parameter("weight") for norm in (block.attention_norm, block.feed_forward_norm))
        self._heads, self._size = attention.num_heads, attention.head_size
        self._turned = self._heads + config.num_kv_heads
        """How many heads are turned: those of queries and keys."""
        weights = attention.query_norm.weight, attention.key_norm.weight
        self._head_norm = torch.cat(
            [weights[0].expand(self._heads, -1), weights[1].expand(self._turned - self._heads, -1)]
        )
        self._gate_up = getattr(block.feed_forward, "gate_up", None)

    def attended(self, x: Tensor, turns: Rotation, number: int, memory: Memory) -> Tensor:
        normed = functional.rms_norm(x, x.shape[-1:], self._norms[0], self._epsilon)
        parts = self._project(normed).unflatten(-1, (-1, self._size))
        turned = functional.rms_norm(parts[:, : self._turned], (self._size,), None, self._epsilon) * self._head_norm
        # halves that change places, one of them with another sign, are a turn by a quarter
        turned = torch.addcmul(turned * turns[0], turned.roll(self._size // 2, -1), turns[1]).transpose(0, 1)[None]
        values = parts[:, self._turned :].transpose(0, 1)[None]
        mixed = memory.attend(number, turned[:, : self._heads], turned[:, self._heads :], values)
        out: Tensor = self._block.attention.output(mixed[0].transpose(0, 1).flatten(1))
        return x + out

    def fed_forward(self, x: Tensor) -> Tensor:
        feed: Any = self._block.feed_forward
        normed = functional.rms_norm(x, x.shape[-1:], self._norms[1], self._epsilon)
        gate, up = self._gate_up(normed).chunk(2, -1) if self._gate_up else (feed.gate(normed), feed.up(normed))
        down: Tensor = feed.down(functional.silu(gate) * up)
        return x + down


class _Joined:
    """One product in the place of several of the same states."""

    def __init__(self, parts: tuple[nn.Module, ...]) -> None:
        self._weight = torch.cat([part.get_parameter("weight").detach() for part in parts])

    def __call__(self, x: Tensor) -> Tensor:
        return functional.linear(x, self._weight)


def _has_bias(model: Transformer) -> bool:
    return any(getattr(module, "bias", None) is not None for module in model.modules())


class _Whole:
    """All tokens are one text, of which nothing is kept."""

    def attend(self, layer: int, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        return attend(query, keys, values, None, causal=True)
