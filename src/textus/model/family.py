"""What the families of models that are read and written are made of: one entry each, and no code asks for a name.

Qwen3 is what everything here is unless an entry says otherwise: a root mean square norm before attention and before the
feed-forward, norms on queries and keys, rotary positions, a gate with SiLU, no biases.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Family = Literal["qwen3", "llama", "mistral", "qwen2", "gpt2", "bert", "modernbert"]


@dataclass(frozen=True)
class Traits:
    """How a family differs from Qwen3."""

    name: str
    """As its authors write it."""
    subtracts_mean: bool = False
    """Whether its norms are LayerNorms."""
    query_norms: bool = False
    """Whether queries and keys are normed, head by head."""
    activation: Literal["silu", "gelu", "gelu_tanh"] = "silu"
    """What bends the feed-forward; `gelu_tanh` is the approximation of GPT-2."""
    is_gated: bool = True
    """Whether the feed-forward multiplies what is bent with a second projection."""
    biases: Literal["none", "queries", "all"] = "none"
    """What adds a bias: nothing, the projections to queries, keys and values, or every projection and norm of a block,
    the norms around the blocks and the head's transform too."""
    positions: Literal["rotary", "learned"] = "rotary"
    """Whether heads are turned by their position, or each position has a row that is added to the embedding."""
    norms_behind: bool = False
    """Whether a norm stands behind each sum, instead of before what is added to it; none stands at the end then."""
    norms_first: bool = True
    """Whether the first attention has a norm before it."""
    is_encoder: bool = False
    """Whether it reads both ways, norms its embedding, and transforms a state before the head's matrix reads it."""
    shares_heads: bool = True
    """Whether several heads may share keys and values, and have another width than the state's divided among them."""


TRAITS: Mapping[Family, Traits] = MappingProxyType(
    {
        "qwen3": Traits("Qwen3", query_norms=True),
        "llama": Traits("Llama"),
        "mistral": Traits("Mistral"),
        "qwen2": Traits("Qwen2", biases="queries"),
        "gpt2": Traits(
            "GPT-2",
            subtracts_mean=True,
            activation="gelu_tanh",
            is_gated=False,
            biases="all",
            positions="learned",
            shares_heads=False,
        ),
        "bert": Traits(
            "BERT",
            subtracts_mean=True,
            activation="gelu",
            is_gated=False,
            biases="all",
            positions="learned",
            norms_behind=True,
            is_encoder=True,
            shares_heads=False,
        ),
        "modernbert": Traits(
            "ModernBERT",
            subtracts_mean=True,
            activation="gelu",
            norms_first=False,
            is_encoder=True,
            shares_heads=False,
        ),
    }
)
