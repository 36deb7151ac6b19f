"""Predict what the assistant says, and nothing that was said to it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from textus.dataset.window import Window
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal, labelled_loss
from textus.objectives.objective import Batch, Loss
from textus.tokenizer.turns import Supervised


@dataclass(frozen=True)
class Instruction:
    """Ask, at every position, for the token after it, where the window says that it is to be learnt."""

    supervised: Supervised = "assistant"
    """Whose tokens the windows ask; it is a part of what decides the weights."""
    noise: float = 0.0
    """While training, noise of this strength on the embeddings (NEFTune, Jain et al. 2023, arXiv 2310.05914)."""
    attention: Literal["causal"] = "causal"
    prediction_offset: Literal[1] = 1

    def batch(self, window: Window, generator: torch.Generator) -> Batch:
        """Shift the window by one: position i is asked for token i + 1."""
        return Causal().batch(window, generator)

    def loss(self, model: Transformer, batch: Batch) -> Loss:
        """Sum the negative log-probabilities of the labels."""
        if not (self.noise and model.training):
            return labelled_loss(model, batch)
        with noisy(model.embedding, self.noise):
            return labelled_loss(model, batch)

    def validation(self) -> Instruction:
        """Return the same question; where a model is measured, there is no noise."""
        return self


@contextmanager
def noisy(embedding: nn.Module, strength: float) -> Iterator[None]:
    """Add noise to embeddings: even in [-1, 1] times `strength / sqrt(time * width)`.

    It is drawn as dropout is, from the seed of the step.
    """

    def add(module: nn.Module, inputs: Any, vectors: Tensor) -> Tensor:
        scale = strength / math.sqrt(vectors.shape[-2] * vectors.shape[-1])
        return vectors + torch.empty_like(vectors).uniform_(-scale, scale)

    hook = embedding.register_forward_hook(add)
    try:
        yield
    finally:
        hook.remove()
