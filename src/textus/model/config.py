"""The shape of a model: everything that its weights depend on, and what one token costs to train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from textus.config import Count, Natural, Positive, Range, Settings
from textus.errors import ConfigError

Scaling = Literal["none", "linear", "yarn"]


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
    """With `yarn`: the context that the weights learnt first."""
    norm_epsilon: Positive = 1e-6
    """What is added to a mean square before its root is taken."""
    tied_embeddings: bool = True
    """Whether the head reads the embedding's weights instead of its own."""
    attention: Literal["causal", "bidirectional"] = "causal"
    """Whether a position sees only what stands before it, or both sides."""
    prediction_offset: Literal[0, 1] = 1
    """1: the state at i-1 predicts token i; 0: the state at i does."""
    family: Literal["qwen3", "modernbert"] = "qwen3"
    """Whose parts the blocks are made of; `modernbert` reads both ways and predicts a hidden token in its place."""
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
        if self.head_size % 2:
            raise ConfigError(
                f"ModelConfig: `head_size` must be even, since rotary positions turn pairs; got {self.head_size}",
                hint=f"head_size={self.head_size + 1}",
            )
        if self.rope_scaling == "yarn" and (not self.rope_original_context or self.rope_theta <= 1):
            raise ConfigError(
                "ModelConfig: `rope_scaling` yarn needs `rope_original_context`, and a `rope_theta` above 1",
                hint="set the context that the weights learnt first, or rope_scaling=none",
            )
        if self.family == "modernbert":
            self._check_encoder()

    def _check_encoder(self) -> None:
        """Refuse what a ModernBERT cannot be."""
        wrong = {
            "attention": self.attention != "bidirectional",
            "prediction_offset": self.prediction_offset != 0,
            "num_kv_heads": self.num_kv_heads != self.num_heads,
            "head_size": self.num_heads * self.head_size != self.hidden_size,
        }
        names = [name for name, is_wrong in wrong.items() if is_wrong]
        if names:
            raise ConfigError(
                f"ModelConfig: a model of the ModernBERT shape cannot have {names[0]}={getattr(self, names[0])}: its "
                f"{self.num_heads} heads have keys and values of their own, and share {self.hidden_size} numbers",
                hint="change the heads, or train with objective.prediction_offset=1, which has another shape",
            )

    @property
    def readings(self) -> tuple[Literal["causal", "bidirectional"], ...]:
        """Return every way of reading that the model is made for, its usual one first."""
        return ("causal", "bidirectional") if self.reads_both_ways else (self.attention,)

    def num_parameters(self) -> int:
        """Count every trainable number once."""
        tables = 1 if self.tied_embeddings else 2
        norms = self.num_layers * (2 * self.hidden_size + 2 * self.head_size) + self.hidden_size
        if self.family == "modernbert":
            norms = (2 * self.num_layers + 2) * self.hidden_size
        return self._layer_matrices() + tables * self.vocab_size * self.hidden_size + norms

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
        queries, keys = self.num_heads * self.head_size, self.num_kv_heads * self.head_size
        attention = self.hidden_size * (2 * queries + 2 * keys)
        head = self.hidden_size**2 if self.family == "modernbert" else 0
        return self.num_layers * (attention + 3 * self.hidden_size * self.intermediate_size) + head


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
