"""Our networks as functions of nothing but tensors: what a file of a graph can hold.

What is read of the cache goes in and what is to be kept comes out, padding is told by a mask, and positions are counted
from it. Names and shapes are those that Hugging Face's tools (optimum, transformers.js) expect.
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textus.model.attention import Sight, attend
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer

Mask = Int[Tensor, "batch total"]
"""1 where there is a token, 0 where there is padding."""
Kept = Float[Tensor, "batch kv_heads past head"]


class Encoder(nn.Module):
    """Read rows both ways."""

    inputs = ("input_ids", "attention_mask")
    outputs = ("logits", "last_hidden_state")

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model
        model.rotation("cpu")  # computed now, it is a constant of the graph

    def forward(self, input_ids: Int[Tensor, "batch time"], attention_mask: Mask) -> tuple[Tensor, Tensor]:
        """Return logits and states of each position; those of padding mean nothing."""
        states = self.model.encode(input_ids, attention_mask - 1)  # document 0, and no document
        return self.model.head(self.model.before_head(states)), states


class Decoder(nn.Module):
    """Read on from left to right, given keys and values of what was already read."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model
        cosine, sine = model.rotation("cpu")
        self.register_buffer("cosine", cosine.clone())
        self.register_buffer("sine", sine.clone())
        layers = [f"{layer}.{part}" for layer in range(model.config.num_layers) for part in ("key", "value")]
        self.inputs = ("input_ids", "attention_mask", *(f"past_key_values.{name}" for name in layers))
        self.outputs = ("logits", *(f"present.{name}" for name in layers))

    def forward(self, input_ids: Int[Tensor, "batch time"], attention_mask: Mask, *past: Kept) -> tuple[Tensor, ...]:
        """Return logits of each new position, and keys and values of all positions, layer by layer.

        The mask covers what was read as well; padding may stand on the left, where it takes no position.
        """
        model, time, read = self.model, input_ids.shape[1], past[0].shape[2]
        # all sizes come from these two, and all else is looked up: so no two have to be proved equal
        order, now = torch.arange(read + time), torch.arange(time) + read
        places = (attention_mask.cumsum(1) - 1).clamp(min=0)[:, now]
        rotation = cast(Tensor, self.cosine)[places], cast(Tensor, self.sine)[places]
        # padding sees itself: a row of nothing would be no number, and spoil the others
        itself = order == now.unsqueeze(1)
        seen = (order <= now.unsqueeze(1)) & attention_mask[:, order].bool().unsqueeze(1) | itself
        bias = torch.where(seen.unsqueeze(1), 0.0, -torch.inf)
        kept = _Kept(past, bias)
        x, added = model.embedding(input_ids), None
        for block in model.blocks:
            x, added = block(x, added, rotation, Sight(bias, causal=True), kept)
        return model.head(model.before_head(model.finish(x, added))), *kept.present


class _Kept:
    """A memory of tensors alone: new keys and values go behind the old ones, and both are remembered."""

    def __init__(self, past: tuple[Kept, ...], bias: Tensor) -> None:
        self._past, self._bias, self.present = past, bias, list[Tensor]()

    def attend(self, layer: int, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Average for each query the values that it sees, old and new."""
        both = torch.cat([self._past[2 * layer], keys], 2), torch.cat([self._past[2 * layer + 1], values], 2)
        self.present += both
        return attend(query, *both, self._bias, causal=True)


def example(config: ModelConfig, module: Encoder | Decoder) -> tuple[tuple[Tensor, ...], tuple[object, ...]]:
    """Return inputs to trace a network with, and which of their dimensions may differ."""
    batch, length = torch.export.Dim("batch"), torch.export.Dim.AUTO
    tokens = torch.arange(6).view(2, 3) % config.vocab_size
    if isinstance(module, Encoder):
        time = torch.export.Dim("time", max=config.context_length)
        return (tokens, torch.ones_like(tokens)), ({0: batch, 1: time}, {0: batch, 1: time})
    shape = (2, config.num_kv_heads, 4, config.head_size)
    past = [torch.zeros(shape) for _ in range(2 * config.num_layers)]
    sizes: list[object] = [{0: batch, 2: length}] * len(past)
    inputs = (tokens, torch.ones(2, 7, dtype=torch.long), *past)
    return inputs, ({0: batch, 1: length}, {0: batch, 1: length}, tuple(sizes))
