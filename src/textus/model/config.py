"""The shape of a model: everything that its weights depend on, and what one token costs to train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from textus.config import Count, Natural, NonNegative, Positive, Range, Settings
from textus.errors import ConfigError
from textus.model.family import TRAITS, Family

Scaling = Literal["none", "linear", "yarn", "llama3"]
LEARNT_FIRST = ("yarn", "llama3")
"""Scalings that need to know which context the weights learnt first."""


@dataclass(frozen=True)
class ModelConfig(Settings):
    """Fix the shape of a `Transformer`; it is kept in the checkpoint."""

    vocab_size: Count
    """Number of tokens that the model knows."""
    context_length: Count
    """How many tokens it sees at most."""
    num_layers: Count
    """How many blocks of attention and feed-forward are stacked."""
    hidden_size: Count
    """Width of the state that runs through the blocks."""
    num_heads: Count
    """How many attention heads ask."""
    num_kv_heads: Count
    """How many key and value heads answer; each is shared by `num_heads / num_kv_heads` heads."""
    head_size: Count
    """Width of one head: an even number."""
    intermediate_size: Count
    """Width inside the feed-forward."""
    rope_theta: Positive = 10000.0
    """Base of the rotary wavelengths; longer contexts want a larger one."""
    rope_scaling: Scaling = "none"
    """How the wavelengths are stretched for a longer context than the weights learnt first (`model/rotary.py`)."""
    rope_factor: Annotated[float, Range(1)] = 1.0
    """How many times longer the context is."""
    rope_original_context: Natural = 0
    """With `yarn` and `llama3`: the context that the weights learnt first."""
    norm_epsilon: Positive = 1e-6
    """What is added to a mean square before its root is taken."""
    tied_embeddings: bool = True
    """Whether the head reads the embedding's weights instead of its own."""
    attention: Literal["causal", "bidirectional"] = "causal"
    """Whether a position sees only what stands before it, or both sides."""
    prediction_offset: Literal[0, 1] = 1
    """1: the state at i-1 predicts token i; 0: the state at i does."""
    family: Family = "qwen3"
    """Whose parts the blocks are made of (`model/family.py`); encoders read both ways and predict a hidden token in its
    place."""
    window: Natural = 0
    """How many positions a local layer sees, its own among them; an encoder's half of them to each side. 0: all do."""
    first_local: Natural = 0
    """With `window`: the first layer that is local."""
    global_every: Natural = 0
    """With `window`: every so many layers, from the first on, one sees all; 0: none."""
    local_rope_theta: NonNegative = 0.0
    """With `window`: the base of the rotary wavelengths of local layers; 0: as of the others."""
    token_types: Natural = 0
    """How many kinds of token the embedding tells apart (BERT's); every token is of the first."""
    attention_biases: bool = False
    """Whether the four projections of attention add biases where those of the family have none."""
    head_bias: bool = False
    """Whether each token of the vocabulary has a number that is added to its logit."""
    reads_both_ways: bool = False
    """Whether a causal model was trained to read both sides too, when it is told to."""
    dropout: Annotated[float, Range(0, 1, open_high=True)] = 0.0
    """Share of the embedding and of each block's output that is dropped while training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(
                f"ModelConfig: {self.num_heads} heads cannot share {self.num_kv_heads} key and value heads evenly",
                hint=f"num_kv_heads must divide num_heads: one of {_divisors(self.num_heads)}",
            )
        if self.head_size % 2 and TRAITS[self.family].positions == "rotary":
            raise ConfigError(
                f"ModelConfig: `head_size` must be even, since rotary positions turn pairs; got {self.head_size}",
                hint=f"head_size={self.head_size + 1}",
            )
        if self.rope_scaling in LEARNT_FIRST and (not self.rope_original_context or self.rope_theta <= 1):
            raise ConfigError(
                f"ModelConfig: `rope_scaling` {self.rope_scaling} needs `rope_original_context`, and a `rope_theta` "
                "above 1",
                hint="set the context that the weights learnt first, or rope_scaling=none",
            )
        self._check_family()

    def _check_family(self) -> None:
        """Refuse what a model of the family cannot be."""
        traits = TRAITS[self.family]
        wrong = {
            "attention": traits.is_encoder and self.attention != "bidirectional",
            "prediction_offset": traits.is_encoder and self.prediction_offset != 0,
            "num_kv_heads": not traits.shares_heads and self.num_kv_heads != self.num_heads,
            "head_size": not traits.shares_heads and self.num_heads * self.head_size != self.hidden_size,
        }
        names = [name for name, is_wrong in wrong.items() if is_wrong]
        if names:
            raise ConfigError(
                f"ModelConfig: a model of the {traits.name} shape cannot have {names[0]}={getattr(self, names[0])}: "
                f"its {self.num_heads} heads have keys and values of their own, and share {self.hidden_size} numbers",
                hint="change the heads, or train with objective.prediction_offset=1, which has another shape",
            )

    @property
    def hides_what_is_far(self) -> bool:
        """Tell whether a layer sees less than the whole context."""
        return 0 < self.window < self.context_length and any(map(self.is_local, range(self.num_layers)))

    def is_local(self, layer: int) -> bool:
        """Tell whether a layer sees only what is near.

        >>> shape = dict(vocab_size=9, num_layers=4, hidden_size=8, num_heads=1, num_kv_heads=1, head_size=8)
        >>> config = ModelConfig(**shape, intermediate_size=8, context_length=64, window=16, global_every=3)
        >>> [config.is_local(layer) for layer in range(4)]
        [False, True, True, False]
        """
        is_global = layer < self.first_local or (self.global_every and not layer % self.global_every)
        return bool(self.window) and not is_global

    @property
    def readings(self) -> tuple[Literal["causal", "bidirectional"], ...]:
        """Return every way of reading that the model is made for, its usual one first."""
        return ("causal", "bidirectional") if self.reads_both_ways else (self.attention,)

    def num_parameters(self) -> int:
        """Count every trainable number once."""
        tables = 1 if self.tied_embeddings else 2
        rows = self.token_types + (self.context_length if TRAITS[self.family].positions == "learned" else 0)
        return self._layer_matrices() + (tables * self.vocab_size + rows) * self.hidden_size + self._vectors()

    def num_matmul_parameters(self) -> int:
        """Count the numbers that every token is multiplied with: the blocks' matrices and the head, tied or not."""
        return self._layer_matrices() + self.vocab_size * self.hidden_size

    def flops_per_token(self) -> int:
        """Count the floating point operations of one training token, forward and backward, in a full context.

        Six for each matmul parameter (Kaplan et al. 2020, arXiv 2001.08361), and `12 * context * heads * head_size` a
        layer for attention (PaLM, arXiv 2204.02311, appendix B), of which causal attention needs half.
        """
        attention = 12 * self.num_layers * self.context_length * self.num_heads * self.head_size
        return 6 * self.num_matmul_parameters() + attention // (2 if self.attention == "causal" else 1)

    def _layer_matrices(self) -> int:
        traits = TRAITS[self.family]
        queries, keys = self._widths()
        attention = self.hidden_size * (2 * queries + 2 * keys)
        feed_forward = (3 if traits.is_gated else 2) * self.hidden_size * self.intermediate_size
        head = self.hidden_size**2 if traits.is_encoder else 0
        return self.num_layers * (attention + feed_forward) + head

    def _vectors(self) -> int:
        """Count the numbers of norms and biases."""
        traits = TRAITS[self.family]
        queries, keys = self._widths()
        # two a layer, and around the blocks an encoder's embedding and head have one, and the end where it is normed
        norms = 2 * self.num_layers - (not traits.norms_first) + 2 * traits.is_encoder + (not traits.norms_behind)
        size = norms * self.hidden_size * (2 if traits.biases == "all" else 1)
        layer = 2 * self.head_size if traits.query_norms else 0
        has_biases = self.attention_biases or traits.biases == "all"
        layer += queries + 2 * keys if has_biases or traits.biases == "queries" else 0
        layer += self.hidden_size if has_biases else 0
        if traits.biases == "all":
            layer += self.hidden_size + self.intermediate_size
            size += self.hidden_size if traits.is_encoder else 0
        return size + self.num_layers * layer + (self.vocab_size if self.head_bias else 0)

    def _widths(self) -> tuple[int, int]:
        return self.num_heads * self.head_size, self.num_kv_heads * self.head_size


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
