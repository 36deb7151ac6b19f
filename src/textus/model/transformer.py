"""The network: one transformer that reads left to right or both ways.

The shape is Qwen3's (arXiv 2505.09388): blocks of attention and feed-forward, each behind a root mean square norm,
norms on queries and keys before rotary positions, gated feed-forward, shared key and value heads, no biases. What other
families have in the place of these is said in `family` and made in `parts`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from textus.model import parts
from textus.model.adapter import INSIDE
from textus.model.aids import Aids
from textus.model.attention import Bias, Sight, causal_bias, document_bias, near_bias
from textus.model.cache import KeyValueCache, Memory
from textus.model.config import ModelConfig
from textus.model.family import TRAITS
from textus.model.kernels import Spans, packs
from textus.model.layers import Embedding, Linear, Role, role
from textus.model.neighbours import look_around
from textus.model.output import ModelOutput
from textus.model.precision import compute_dtype
from textus.model.rotary import Rotary, Rotation

Reading = Literal["config", "causal", "bidirectional"]
"""How a pass reads: as the model's config says, or in one of the ways that it was trained for."""
_SPREAD = 0.02
"""Standard deviation of first weights (GPT-2); projections into the residual stream get it over sqrt(2 layers)."""


class Block(nn.Module):
    """Add to the state what attention and feed-forward find in it."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        has_norm = layer or TRAITS[config.family].norms_first
        self.attention_norm = parts.norm(config) if has_norm else parts.Unnormed()
        self.attention = parts.attention(config, layer)
        self.feed_forward_norm = parts.norm(config)
        self.feed_forward = parts.feed_forward(config)
        self.dropout = config.dropout
        self.is_local = config.is_local(layer)

    def forward(
        self,
        x: Float[Tensor, "batch time hidden"],
        added: Float[Tensor, "batch time hidden"] | None,
        rotation: Rotation,
        sight: Sight,
        cache: KeyValueCache | Memory | None,
    ) -> tuple[Float[Tensor, "batch time hidden"], Float[Tensor, "batch time hidden"] | None]:
        """Return the state and what is still to be added to it, as they are taken.

        The sum is left to whoever reads the state next, so that a compiler joins it with the norm that follows.
        """
        dtype = compute_dtype(x)
        x = x if added is None else x + added
        x = x + self._drop(self.attention(self.attention_norm(x, dtype), rotation, sight, cache))
        return x, self._drop(self.feed_forward(self.feed_forward_norm(x, dtype)))

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training) if self.dropout else x


class NormsBehindBlock(Block):
    """Norm the state whenever attention or feed-forward has added to it, as BERT does."""

    def forward(
        self,
        x: Float[Tensor, "batch time hidden"],
        added: Float[Tensor, "batch time hidden"] | None,
        rotation: Rotation,
        sight: Sight,
        cache: KeyValueCache | Memory | None,
    ) -> tuple[Float[Tensor, "batch time hidden"], None]:
        """Return the state; nothing is left to be added to it."""
        dtype = compute_dtype(x)
        x = x if added is None else x + added
        x = self.attention_norm(x + self._drop(self.attention(x.to(dtype), rotation, sight, cache)), x.dtype)
        return self.feed_forward_norm(x + self._drop(self.feed_forward(x.to(dtype))), x.dtype), None


class Transformer(nn.Module):
    """Turn tokens into states and states into logits.

    Weights are drawn on the CPU from `seed`, so that they are the same on every device.
    """

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.traits = traits = TRAITS[config.family]
        self.embedding = Embedding(config.vocab_size, config.hidden_size)
        if traits.positions == "learned":
            self.positions = Embedding(config.context_length, config.hidden_size)
        if config.token_types:
            self.token_types = Embedding(config.token_types, config.hidden_size)
        if traits.is_encoder:
            self.embedding_norm = parts.norm(config)
            self.head_transform = parts.HeadTransform(config)
        block = NormsBehindBlock if traits.norms_behind else Block
        self.blocks = nn.ModuleList(block(config, layer) for layer in range(config.num_layers))
        self.norm = parts.Unnormed() if traits.norms_behind else parts.norm(config)
        self.head = Linear(config.hidden_size, config.vocab_size, config.head_bias)
        self.tie()
        self.aids: Aids | None = None
        """What only training has, beside the model."""
        self._rotary = Rotary(config)
        near: dict[str, Any] = {"rope_theta": config.local_rope_theta, "rope_scaling": "none"}
        self._near_rotary = Rotary(replace(config, **near)) if config.local_rope_theta else self._rotary
        self.initialise(seed)

    def tie(self) -> None:
        """Let the head read the embedding's weights where the config says so."""
        if self.config.tied_embeddings:
            self.head.weight = self.embedding.weight

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Draw all weights anew: normal, 0.02 wide, `0.02 / sqrt(2 layers)` into the residual stream.

        Norms are 1, biases 0. Heads of an encoder whose positions are turned look beside their own (`neighbours`).
        """
        generator = torch.Generator().manual_seed(seed)
        narrow = _SPREAD / math.sqrt(2 * self.config.num_layers)
        for name, parameter in self.named_parameters():
            if parameter.is_meta:
                continue
            if parameter.dim() < 2:
                parameter.fill_(0 if name.endswith("bias") else 1)
                continue
            spread = narrow if name.endswith(("output.weight", "down.weight")) else _SPREAD
            parameter.copy_(torch.empty(parameter.shape).normal_(0, spread, generator=generator))
        if self.traits.is_encoder and self.traits.positions == "rotary" and not self.embedding.weight.is_meta:
            layers = [block.attention for block in self.blocks]
            look_around(self.config, self.embedding, layers, _SPREAD, generator)  # type: ignore[arg-type]

    def forward(
        self,
        tokens: Int[Tensor, "batch time"],
        documents: Int[Tensor, "batch time"] | None = None,
        cache: KeyValueCache | None = None,
        attention: Reading = "config",
    ) -> ModelOutput:
        """Return logits and states of each position.

        `documents` numbers the document of each position (None: one a row); nothing is seen across documents. With a
        `cache`, `tokens` follow what it holds, and it grows by them. `attention` may choose another way of reading
        than the config's, where the model was trained for both.
        """
        hidden = self.encode(tokens, documents, cache, attention=attention)
        return ModelOutput(self.head(self.before_head(hidden)), hidden, cache)

    def encode(
        self,
        tokens: Int[Tensor, "batch time"],
        documents: Int[Tensor, "batch time"] | None = None,
        cache: KeyValueCache | None = None,
        spans: Spans | None = None,
        attention: Reading = "config",
    ) -> Float[Tensor, "batch time hidden"]:
        """Return the last states, normalised: what the head reads.

        `spans` may say where `documents` begin and end (`document_spans`); a GPU that knows it needs no mask.
        """
        start, time = cache.length if cache else 0, tokens.shape[1]
        assert start + time <= self.config.context_length, (
            f"{start + time} positions in a context of {self.config.context_length}"
        )
        causal = (self.config.attention if attention == "config" else attention) == "causal"
        assert cache is None or (causal and documents is None), "a cache holds one document, read left to right"
        places = _places(tokens, documents, start) if self.traits.positions == "learned" else None
        x, added = self._embed(tokens, places)
        # the kernel without a mask norms queries and keys, which other families do not
        fits = self.traits.query_norms and packs(x, self.config.head_size)
        if documents is None or spans is None or not fits:
            spans = None
        bias: Tensor | None = None
        if documents is not None and spans is None:
            bias = document_bias(documents, causal, compute_dtype(x))
        elif start and time > 1:
            bias = causal_bias(time, start + time, x.device, compute_dtype(x))
        rotation = self._rotary.at(start, start + time, x.device)
        # a single new position sees everything, so it needs no mask
        sight = Sight(bias, causal and not start, spans)
        near = self._near(sight, start, time, causal, x) if self.config.window else (rotation, sight)
        for block in self.blocks:
            x, added = block(x, added, *(near if block.is_local else (rotation, sight)), cache)
        if cache is not None:
            cache.advance(time)
        return self.finish(x, added)

    def encode_at(
        self, tokens: Int[Tensor, " tokens"], positions: Int[Tensor, " tokens"], memory: Memory
    ) -> Float[Tensor, "tokens hidden"]:
        """Return the last states of tokens of any texts, each at its position in its own; `memory` holds the texts."""
        assert not self.config.hides_what_is_far, "a memory shows every layer the whole text"
        x, added = self._embed(tokens[None], positions[None])
        rotation, sight = self._rotary.of(positions), Sight(None, True)
        for block in self.blocks:
            x, added = block(x, added, rotation, sight, memory)
        return self.finish(x, added)[0]

    def _near(self, sight: Sight, start: int, time: int, causal: bool, x: Tensor) -> tuple[Rotation, Sight]:
        """Return by what the positions of local layers turn, and what they see."""
        rotation = self._near_rotary.at(start, start + time, x.device)
        reach = self.config.window if causal else self.config.window // 2 + 1
        if start + time <= reach:  # everything is near
            return rotation, sight
        bias: Bias = near_bias(time, start + time, self.config.window, causal, x.device, compute_dtype(x))
        return rotation, Sight(bias if sight.bias is None else bias + sight.bias, sight.causal)

    def _embed(
        self, tokens: Int[Tensor, "batch time"], places: Int[Tensor, "#batch time"] | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the first state, and what is still to be added to it; `places` are needed where they are learnt."""
        x = self.embedding(tokens)
        if self.config.token_types:
            x = x + self.token_types.weight[0]
        if self.traits.positions == "learned":
            assert places is not None, "the rows of learnt positions are a part of the first state"
            x = x + self.positions(places)
        if self.traits.is_encoder:
            x = self.embedding_norm(x, torch.float32)
        if self.config.dropout:
            x = functional.dropout(x, self.config.dropout, self.training)
        if x.device.type == "cpu":
            return x, None
        x = x.to(compute_dtype(x))
        # nothing, but of the kind that all other blocks are given: they are one graph to the compiler then
        return x, torch.zeros_like(x).requires_grad_(x.requires_grad)

    def finish(
        self, x: Float[Tensor, "batch time hidden"], added: Float[Tensor, "batch time hidden"] | None
    ) -> Float[Tensor, "batch time hidden"]:
        """Return the normalised sum: what the head reads."""
        states: Tensor = self.norm(x if added is None else x + added, compute_dtype(x))
        return states

    def before_head(self, states: Float[Tensor, "*rows hidden"]) -> Float[Tensor, "*rows hidden"]:
        """Return what the head's matrix is multiplied with: of most models, the states themselves."""
        if not self.traits.is_encoder:
            return states
        transformed: Tensor = self.head_transform(states)
        return transformed

    def as_product(
        self, states: Float[Tensor, "rows hidden"]
    ) -> tuple[Float[Tensor, "rows width"], Float[Tensor, "vocab width"]]:
        """Return rows and a matrix whose products are the logits: a head's bias is a column, which meets a 1."""
        rows = self.before_head(states)
        bias: Tensor | None = self.head.bias
        if bias is None:
            return rows, self.head.weight
        return torch.cat([rows, torch.ones_like(rows[:, :1])], 1), torch.cat([self.head.weight, bias[:, None]], 1)

    def rotation(self, device: torch.device | str) -> Rotation:
        """Return cosines and sines of every position of the context."""
        return self._rotary.at(0, self.config.context_length, torch.device(device))

    def new_cache(self, batch: int) -> KeyValueCache:
        """Return an empty cache for `batch` rows of the whole context."""
        weight = self.embedding.weight
        return KeyValueCache(self.config, batch, self.config.context_length, weight.device, compute_dtype(weight))

    def own_parameters(self) -> dict[str, nn.Parameter]:
        """Return the parameters that make the model, each once, without those of aids and adapters."""
        beside = self.beside_parameters()
        return {name: value for name, value in self.named_parameters() if name not in beside}

    def beside_parameters(self) -> dict[str, nn.Parameter]:
        """Return the parameters of the aids, and of adapters."""
        return {name: value for name, value in self.named_parameters() if name.startswith("aids.") or INSIDE in name}

    def parameter_roles(self) -> dict[str, Role]:
        """Say of each parameter what it is for; a head that is tied is an embedding."""
        owners = dict(self.named_modules())
        parted = ((name, *name.rpartition(".")[::2]) for name, _ in self.named_parameters())
        roles = {name: role(owners[owner], kind) for name, owner, kind in parted}
        return roles | ({"head.weight": "head"} if "head.weight" in roles else {})


def _places(
    tokens: Int[Tensor, "batch time"], documents: Int[Tensor, "batch time"] | None, start: int
) -> Int[Tensor, "#batch time"]:
    """Count the positions of each document from 0, and those of a row from `start` where it is one document."""
    places = torch.arange(start, start + tokens.shape[1], device=tokens.device)[None]
    if documents is None:
        return places
    begins = functional.pad(documents[:, 1:] != documents[:, :-1], (1, 0), value=True)
    return places - places.where(begins, 0).cummax(1).values
