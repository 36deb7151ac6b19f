"""The network: one transformer that reads left to right or both ways.

The shape is Qwen3's (arXiv 2505.09388): blocks of attention and feed-forward, each behind a root mean square norm,
norms on queries and keys before rotary positions, gated feed-forward, shared key and value heads, no biases. An encoder
has ModernBERT's, whose parts are in `encoder`.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from textus.model.aids import Aids
from textus.model.attention import Attention, Sight, causal_bias, document_bias
from textus.model.cache import KeyValueCache
from textus.model.config import ModelConfig
from textus.model.encoder import EncoderBlock, HeadTransform
from textus.model.kernels import Starts, packs
from textus.model.layers import Embedding, FeedForward, LayerNorm, Linear, RMSNorm, Role, role
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
        self.attention_norm = RMSNorm(config.hidden_size, config.norm_epsilon)
        self.attention = Attention(config, layer)
        self.feed_forward_norm = RMSNorm(config.hidden_size, config.norm_epsilon)
        self.feed_forward = FeedForward(config.hidden_size, config.intermediate_size)
        self.dropout = config.dropout

    def forward(
        self,
        x: Float[Tensor, "batch time hidden"],
        added: Float[Tensor, "batch time hidden"] | None,
        rotation: Rotation,
        sight: Sight,
        cache: KeyValueCache | None,
    ) -> tuple[Float[Tensor, "batch time hidden"], Float[Tensor, "batch time hidden"]]:
        """Return the state and what is still to be added to it, as they are taken.

        The sum is left to whoever reads the state next, so that a compiler joins it with the norm that follows.
        """
        dtype = compute_dtype(x)
        x = x if added is None else x + added
        x = x + self._drop(self.attention(self.attention_norm(x, dtype), rotation, sight, cache))
        return x, self._drop(self.feed_forward(self.feed_forward_norm(x, dtype)))

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training) if self.dropout else x


class Transformer(nn.Module):
    """Turn tokens into states and states into logits.

    Weights are drawn on the CPU from `seed`, so that they are the same on every device.
    """

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.embedding = Embedding(config.vocab_size, config.hidden_size)
        is_encoder = config.family == "modernbert"
        block, norm = (EncoderBlock, LayerNorm) if is_encoder else (Block, RMSNorm)
        if is_encoder:
            self.embedding_norm = LayerNorm(config.hidden_size, config.norm_epsilon)
            self.head_transform = HeadTransform(config)
        self.blocks = nn.ModuleList(block(config, layer) for layer in range(config.num_layers))
        self.norm = norm(config.hidden_size, config.norm_epsilon)
        self.head = Linear(config.hidden_size, config.vocab_size)
        self.tie()
        self.aids: Aids | None = None
        """What only training has, beside the model."""
        self._rotary = Rotary(config)
        self.initialise(seed)

    def tie(self) -> None:
        """Let the head read the embedding's weights where the config says so."""
        if self.config.tied_embeddings:
            self.head.weight = self.embedding.weight

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Draw all weights anew: normal, 0.02 wide, `0.02 / sqrt(2 layers)` into the residual stream; norms are 1."""
        generator = torch.Generator().manual_seed(seed)
        narrow = _SPREAD / math.sqrt(2 * self.config.num_layers)
        for name, parameter in self.named_parameters():
            if parameter.is_meta:
                continue
            if parameter.dim() < 2:
                parameter.fill_(1)
                continue
            spread = narrow if name.endswith(("output.weight", "down.weight")) else _SPREAD
            parameter.copy_(torch.empty(parameter.shape).normal_(0, spread, generator=generator))

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
        starts: Starts | None = None,
        attention: Reading = "config",
    ) -> Float[Tensor, "batch time hidden"]:
        """Return the last states, normalised: what the head reads.

        `starts` may say where `documents` begin (`document_starts`); a GPU that knows it needs no mask.
        """
        start, time = cache.length if cache else 0, tokens.shape[1]
        assert start + time <= self.config.context_length, (
            f"{start + time} positions in a context of {self.config.context_length}"
        )
        causal = (self.config.attention if attention == "config" else attention) == "causal"
        assert cache is None or (causal and documents is None), "a cache holds one document, read left to right"
        x, added = self._embed(tokens)
        # the kernel without a mask norms queries and keys, which an encoder does not
        fits = self.config.family == "qwen3" and packs(x, self.config.head_size)
        if documents is None or starts is None or not fits:
            starts = None
        bias: Tensor | None = None
        if documents is not None and starts is None:
            bias = document_bias(documents, causal, compute_dtype(x))
        elif start and time > 1:
            bias = causal_bias(time, start + time, x.device, compute_dtype(x))
        rotation = self._rotary.at(start, start + time, x.device)
        # a single new position sees everything, so it needs no mask
        sight = Sight(bias, causal and not start, starts)
        for block in self.blocks:
            x, added = block(x, added, rotation, sight, cache)
        if cache is not None:
            cache.advance(time)
        return self.finish(x, added)

    def _embed(self, tokens: Int[Tensor, "batch time"]) -> tuple[Tensor, Tensor | None]:
        """Return the first state, and what is still to be added to it."""
        x = self.embedding(tokens)
        if self.config.family == "modernbert":
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
        if self.config.family != "modernbert":
            return states
        transformed: Tensor = self.head_transform(states)
        return transformed

    def rotation(self, device: torch.device | str) -> Rotation:
        """Return cosines and sines of every position of the context."""
        return self._rotary.at(0, self.config.context_length, torch.device(device))

    def new_cache(self, batch: int) -> KeyValueCache:
        """Return an empty cache for `batch` rows of the whole context."""
        weight = self.embedding.weight
        return KeyValueCache(self.config, batch, self.config.context_length, weight.device, compute_dtype(weight))

    def own_parameters(self) -> dict[str, nn.Parameter]:
        """Return the parameters that make the model, each once, without those of the aids."""
        return {name: value for name, value in self.named_parameters() if not name.startswith("aids.")}

    def parameter_roles(self) -> dict[str, Role]:
        """Say of each parameter what it is for; a head that is tied is an embedding."""
        owners = dict(self.named_modules())
        roles = {name: role(owners[name.rpartition(".")[0]]) for name, _ in self.named_parameters()}
        return roles | ({"head.weight": "head"} if "head.weight" in roles else {})
