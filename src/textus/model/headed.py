"""A transformer that answers about texts or their words, where others predict tokens.

Its parts are those that transformers knows: a state, or the mean of a text's states, goes through what stands before
the vocabulary's matrix (of a ModernBERT a dense layer, GELU and a norm), and a small matrix makes a number for each
label.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textus.config import Settings
from textus.errors import ConfigError
from textus.model.config import ModelConfig
from textus.model.family import TRAITS, Family
from textus.model.kernels import Spans
from textus.model.layers import Bias, Linear, Role
from textus.model.pooling import Pooling, pool
from textus.model.transformer import Transformer

Task = Literal["classify", "tag", "embed"]
HEADED: tuple[Family, ...] = ("qwen3", "llama", "mistral", "qwen2", "modernbert")
"""Families whose heads for labels are a matrix alone in transformers, and so can be written."""
_SPREAD = 0.02


@dataclass(frozen=True)
class TaskConfig(Settings):
    """Say what a model answers; it is kept in the checkpoint."""

    task: Task
    """`classify`: about a text; `tag`: about each word; `embed`: a vector for a text."""
    labels: tuple[str, ...] = ()
    """The possible answers, by their number."""
    several: bool = False
    """Whether any number of labels may hold at once, rather than exactly one."""
    in_pairs: bool = False
    """Whether a text is two, read as one."""
    pooling: Pooling = "mean"
    """Which states tell of a text."""
    reading: Literal["causal", "bidirectional"] = "bidirectional"
    """How the model reads."""


class NoVocabulary(nn.Module):
    """Stand where other models have the vocabulary's matrix, and say that this one predicts no tokens."""

    @property
    def weight(self) -> Tensor:
        """Raise `ConfigError`."""
        raise _no_tokens()

    def forward(self, states: Tensor) -> Tensor:
        """Raise `ConfigError`."""
        raise _no_tokens()


def _no_tokens() -> ConfigError:
    return ConfigError(
        "this model was adapted to label or compare texts, and predicts no tokens",
        hint="use `textus label` or `textus embed`, or the model that it was made from",
    )


class Headed(Transformer):
    """Turn tokens into states, and states into an answer for each text or token.

    First values of the new part are drawn from `seed`; the rest is drawn as a `Transformer`'s, or taken `over` from
    one.
    """

    def __init__(self, config: ModelConfig, task: TaskConfig, seed: int = 0) -> None:
        # there is no second table to tie or not to tie, and nothing to add a bias to
        super().__init__(replace(config, tied_embeddings=True, head_bias=False), seed)
        self.task = task
        self.head: Any = NoVocabulary()
        self.classifier: nn.Module | None = None
        self.classifier_bias: Bias | None = None
        if task.task == "embed":
            if self.traits.is_encoder:
                del self.head_transform
            return
        self.classifier = Linear(config.hidden_size, len(task.labels))
        if has_bias(config, task):
            self.classifier_bias = Bias(len(task.labels))
        with torch.no_grad():
            generator = torch.Generator().manual_seed(seed)
            weight = self.classifier.weight
            if not weight.is_meta:
                weight.copy_(torch.empty(weight.shape).normal_(0, _SPREAD, generator=generator))

    @classmethod
    def over(cls, base: Transformer, task: TaskConfig, seed: int, dropout: float) -> Headed:
        """Put a new head on a copy of a trained model; raise `ConfigError` for a family that has none of this kind."""
        if base.config.family not in HEADED:
            raise ConfigError(
                f"a {base.traits.name} model cannot be given a head for labels or vectors",
                hint=f"begin with one of these: {', '.join(TRAITS[family].name for family in HEADED)}",
            )
        made = cls(replace(base.config, dropout=dropout), task, seed)
        theirs, mine = base.state_dict(), made.state_dict()
        made.load_state_dict({name: theirs.get(name, value) for name, value in mine.items()})
        return made

    def tie(self) -> None:
        """Tie nothing once there is no vocabulary's matrix."""
        if isinstance(self.head, Linear):
            super().tie()

    def pooled(
        self,
        tokens: Int[Tensor, "batch time"],
        documents: Int[Tensor, "batch time"] | None = None,
        spans: Spans | None = None,
    ) -> Float[Tensor, "batch hidden"]:
        """Return one vector for each row, in float32."""
        states = self.encode(tokens, documents, spans=spans, attention=self.task.reading).float()
        there = torch.ones_like(tokens, dtype=torch.bool) if documents is None else documents >= 0
        return pool(states, there, self.task.pooling)

    def logits(self, states: Float[Tensor, "*rows hidden"]) -> Float[Tensor, "*rows labels"]:
        """Return a number for each label, in float32."""
        assert self.classifier is not None, "a model for vectors has no labels"
        # vectors are in float32, whatever the weights are in
        states = states.to(self.embedding.weight.dtype)
        found: Tensor = self.classifier(self.before_head(states)).float()
        return found if self.classifier_bias is None else self.classifier_bias(found)

    def parameter_roles(self) -> dict[str, Role]:
        """Say of each parameter what it is for; the labels' matrix is a head like the vocabulary's."""
        roles = super().parameter_roles()
        return roles | ({"classifier.weight": "head"} if "classifier.weight" in roles else {})


def has_bias(config: ModelConfig, task: TaskConfig) -> bool:
    """Tell whether the labels have a bias each: transformers' Qwen3 has none where it classifies texts."""
    return TRAITS[config.family].is_encoder or task.task == "tag"
