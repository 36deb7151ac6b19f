"""The same network in fewer and larger steps, for passes of few tokens, whose time goes into calling each step.

Queries, keys and values are one product, and their norms and rotations one step each. Whatever network is given, its
own `encode_at` is the oracle: where the two differ, or a part is of a kind that is not known here, it is used instead.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from textus.decoding.engine.quantize import Int8Linear, is_quantized
from textus.model.attention import Attention, Sight, attend
from textus.model.cache import Memory
from textus.model.config import ModelConfig
from textus.model.layers import FeedForward, Linear, RMSNorm
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
        self._norm = _Norm(model.norm.get_parameter("weight"), model.config.norm_epsilon)

    def encode_at(
        self, tokens: Int[Tensor, " tokens"], positions: Int[Tensor, " tokens"], memory: Memory
    ) -> Float[Tensor, "tokens hidden"]:
        """Return the last states of tokens of any texts, each at its position in its own; `memory` holds the texts."""
        model = self._model
        x: Tensor = model.embedding(tokens)
        turns = self.turns(positions, x.dtype)
        for number in range(len(self._layers)):
            x = self.through(x, turns, number, memory)
        return self._norm(x)

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
        attention, epsilon = block.attention, config.norm_epsilon
        feed: Any = block.feed_forward
        parts = (attention.query, attention.key, attention.value)
        joined = dict(attention.named_children()).get("query_key_value")
        self._project = _product(joined) if joined else _Joined(parts)
        self._output, self._down = _product(attention.output), _product(feed.down)
        self._gate, self._up = _product(feed.gate), _product(feed.up)
        both = dict(feed.named_children()).get("gate_up")
        self._gate_up = _product(both) if both else None
        self._first_norm = _Norm(block.attention_norm.get_parameter("weight"), epsilon)
        self._second_norm = _Norm(block.feed_forward_norm.get_parameter("weight"), epsilon)
        self._heads, self._size = config.num_heads, config.head_size
        self._turned = self._heads + config.num_kv_heads
        """How many heads are turned: those of queries and keys."""
        self._head_norm = _Norm(torch.ones_like(attention.query_norm.weight), epsilon)
        weights = attention.query_norm.weight, attention.key_norm.weight
        self._scales = torch.cat(
            [weights[0].expand(self._heads, -1), weights[1].expand(config.num_kv_heads, -1)]
        ).detach()

    def attended(self, x: Tensor, turns: Rotation, number: int, memory: Memory) -> Tensor:
        parts = self._project(self._first_norm(x)).view(len(x), -1, self._size)
        turned = self._head_norm(parts[:, : self._turned]) * self._scales
        # halves that change places, one of them with another sign, are a turn by a quarter
        turned = torch.addcmul(turned * turns[0], turned.roll(self._size // 2, -1), turns[1]).transpose(0, 1)[None]
        values = parts[:, self._turned :].transpose(0, 1)[None]
        mixed = memory.attend(number, turned[:, : self._heads], turned[:, self._heads :], values)
        return x + self._output(mixed[0].transpose(0, 1).reshape(len(x), -1))

    def fed_forward(self, x: Tensor) -> Tensor:
        normed = self._second_norm(x)
        if self._gate_up:
            gate, up = self._gate_up(normed).chunk(2, -1)
        else:
            gate, up = self._gate(normed), self._up(normed)
        return x + self._down(functional.silu(gate) * up)


class _Norm:
    """A root mean square norm."""

    def __init__(self, weight: Tensor, epsilon: float) -> None:
        self._weight, self._epsilon = weight.detach(), epsilon
        self._twice = torch.cat((self._weight, self._weight))

    def __call__(self, x: Tensor) -> Tensor:
        size = x.shape[-1]
        if len(x) > 1 or x.device.type != "cpu":
            return functional.rms_norm(x, (size,), self._weight, self._epsilon)
        # torch has no kernel for this norm on a CPU, but one for that which takes off the mean: here the mean is 0
        return functional.layer_norm(torch.cat((x, -x), -1), (2 * size,), self._twice, None, self._epsilon)[..., :size]


def _product(part: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return what a module computes, without what calling a module takes."""
    if isinstance(part, Int8Linear):
        return part.product
    if type(part) is Linear:
        return partial(functional.linear, weight=part.weight.detach())
    return part


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
