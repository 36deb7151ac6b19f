"""Take the best token, or draw one with random numbers that depend on nothing but their own place.

Each token of each step has a random number of its own, a hash of (seed, row, position, token). A token's chance that
its logit plus its number, made into Gumbel noise, is the highest of all is its probability (Gumbel, 1954). So the same
logits and seed give the same draw whatever else is in the batch, in whatever order, and on any device; and two models
that nearly agree nearly always draw the same token, which is what speculative decoding lives on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textus.decoding.history import NO_TOKEN

_STEP = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""The constants of SplitMix64 (Steele, Lea and Flood, 2014)."""


@dataclasses.dataclass(frozen=True, eq=False)
class Places:
    """Say of each row where in the random numbers it stands."""

    seed: Int[Tensor, " batch"]
    """64 bits; above 2**63 they are written as a negative number."""
    row: Int[Tensor, " batch"]
    """Which of the texts that share a seed this is."""
    position: Int[Tensor, " batch"]
    """How many tokens of it were written before."""

    @classmethod
    def of(cls, seed: int, rows: Sequence[int], position: int, device: torch.device | str = "cpu") -> Places:
        """Return the places of rows that are all at the same position of one seed."""
        return cls.each([(seed, row, position) for row in rows], device)

    @classmethod
    def each(cls, places: Sequence[tuple[int, int, int]], device: torch.device | str = "cpu") -> Places:
        """Return places that are given one by one, as seed, row and position."""
        signed = [(_signed(seed), row, position) for seed, row, position in places]
        return cls(*torch.tensor(signed, dtype=torch.int64, device=device).reshape(-1, 3).unbind(1))


def uniform(places: Places, vocab: int) -> Float[Tensor, "batch vocab"]:
    """Return the random numbers of each token of each place: 52 random bits, strictly between 0 and 1.

    >>> here, there = Places.of(7, [0], position=3), Places.of(7, [1], position=3)
    >>> uniform(here, 2).equal(uniform(here, 2)), uniform(here, 2).equal(uniform(there, 2))
    (True, False)
    """
    return _uniform(places, torch.arange(vocab, device=places.seed.device))


def _uniform(places: Places, tokens: Int[Tensor, "*batch tokens"]) -> Float[Tensor, "batch tokens"]:
    """Return the random numbers of these tokens of each place."""
    key = _mix(_mix(_mix(places.seed) + places.row) + places.position)
    bits = _right(_mix(key[:, None] + (tokens + 1) * _signed(_STEP)), 12)
    return bits.double().add_(0.5).mul_(2.0**-52)


def draw(logits: Float[Tensor, "batch vocab"], places: Places) -> Int[Tensor, " batch"]:
    """Draw one token for each row of logits, in float64 and where they are; `NO_TOKEN` where they are no numbers.

    A token of probability zero is never drawn: noise is finite, so its sum stays `-inf`. Where the last bit of a
    logarithm differs between devices, so may a draw between two tokens that tie to sixteen digits, and no other.

    >>> draw(torch.tensor([[-torch.inf, 0.0, -torch.inf]]), Places.of(1, [0], position=0)).tolist()
    [1]
    """
    return draw_among(logits, torch.arange(logits.shape[1], device=logits.device), places)


def draw_among(
    logits: Float[Tensor, "batch few"], tokens: Int[Tensor, "*batch few"], places: Places
) -> Int[Tensor, " batch"]:
    """Draw as `draw` does, where only these tokens can follow; return their columns. The rest cost nothing then."""
    noise = _uniform(places, tokens).log_().neg_().log_()
    return best(logits - noise)


def best(logits: Float[Tensor, "batch vocab"]) -> Int[Tensor, " batch"]:
    """Take the likeliest token of each row, of those that tie the lowest id; `NO_TOKEN` where they are no numbers."""
    highest = logits.max(-1)
    return torch.where(highest.values.isfinite(), highest.indices, NO_TOKEN)


def _mix(bits: Int[Tensor, "*any"]) -> Int[Tensor, "*any"]:
    """Scramble 64 bits, reversibly; every bit of the result depends on all of them."""
    bits = (bits ^ _right(bits, 30)).mul_(_signed(_FIRST))
    bits = (bits ^ _right(bits, 27)).mul_(_signed(_SECOND))
    return bits ^ _right(bits, 31)


def _right(bits: Int[Tensor, "*any"], places: int) -> Int[Tensor, "*any"]:
    """Shift right and fill with zeros; torch's shift fills with the sign."""
    return (bits >> places).bitwise_and_((1 << (64 - places)) - 1)


def _signed(bits: int) -> int:
    return bits - 2**64 if bits >= 2**63 else bits
