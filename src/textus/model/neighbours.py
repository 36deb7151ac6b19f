"""First weights by which an encoder's heads look at the tokens beside their own.

A blank is guessed from the words around it, but all blanks are alike, and heads of random weights look everywhere at
once. Until some have found out that near is near, a masked model knows how frequent words are and nothing else; in the
minutes of a CPU that is all it ever learns (benchmarks/RESULTS.md). So they begin where training would bring them, as
Trockman and Kolter (2023, arXiv 2305.09828) let attention begin; what is learnt from there on is free.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from textus.model.attention import Attention
from textus.model.config import ModelConfig
from textus.model.rotary import frequencies

AWAY = (-1, 1, -2, 2)
"""How far from its own position each head looks, in turn."""
_SHARPNESS = 12.0
"""The score of the place that a head looks at, above that of places far away."""
_PAIRS = 4
"""The quickest pairs of a head, which alone tell one place from the next."""


@torch.no_grad()
def look_around(
    config: ModelConfig, embedding: nn.Embedding, layers: list[Attention], spread: float, generator: torch.Generator
) -> None:
    """Let half of the heads of each layer, two at the least, begin by looking one or two places away.

    All tokens get one direction in common, `spread` long in each coordinate: a softmax over them does not notice it,
    and norms keep it. Queries and keys read it, turned against each other by as many positions as the head looks away.
    A model of one head a layer could look to one side only, and is left as it is.
    """
    if config.num_heads < 2:
        return
    common = torch.ones(config.hidden_size)
    common[torch.randperm(config.hidden_size, generator=generator)[: config.hidden_size // 2]] = -1.0
    embedding.weight.add_(spread * common)
    read = common / (config.hidden_size * math.sqrt(0.5))  # half of a normed state is what tokens have in common
    pairs = min(_PAIRS, config.head_size // 2)
    size = math.sqrt(_SHARPNESS * math.sqrt(config.head_size) / pairs)
    turns = frequencies(config.head_size, config.rope_theta)[:pairs]
    for attention in layers:
        for head in range(max(2, config.num_heads // 2)):
            rows = head * config.head_size + torch.arange(pairs)
            angles = torch.rand(pairs, generator=generator) * (2 * math.pi)
            for matrix, angle in ((attention.query, angles), (attention.key, angles - AWAY[head % len(AWAY)] * turns)):
                _add(matrix.weight, rows, size * angle.cos(), read)
                _add(matrix.weight, rows + config.head_size // 2, size * angle.sin(), read)


def _add(matrix: Tensor, rows: Tensor, sizes: Tensor, read: Tensor) -> None:
    matrix[rows] += sizes[:, None] * read
