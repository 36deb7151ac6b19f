"""Rotary positions: turn pairs of a head's numbers by an angle that grows with the position.

Su et al. 2021, arXiv 2104.09864. Number `i` is paired with `i + head_size / 2`, as in Llama and Qwen. The product of a
query and a key then depends on their distance only, so documents that share a window need no positions of their own.

A model that learnt a short context meets angles in a longer one that it never saw. `linear` scaling turns every pair
slower (Chen et al. 2023, arXiv 2306.15595), `yarn` only those pairs that had not yet gone round in the short context
(Peng et al. 2023, arXiv 2309.00071), and so does `llama3` with other borders (Llama 3.1's; arXiv 2407.21783).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textus.model.config import ModelConfig

Rotation = tuple[Float[Tensor, "time 1 half"], Float[Tensor, "time 1 half"]]
"""Cosines and sines of the angle of each position and pair."""
_MOST_TURNS, _LEAST_TURNS = 32, 1
"""Pairs that turn more often than the first in the context that was learnt are left alone by YaRN, and those that turn
less often than the second are slowed in full: the values of its paper, and of transformers and vLLM."""
LLAMA3_TURNS = 1, 4
"""The same borders of Llama 3: pairs that turn less often than the first are slowed in full."""


class Rotary:
    """Keep the cosines and sines of every position, in float32 whatever the model's format."""

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        self._tables: dict[torch.device, Rotation] = {}

    def at(self, start: int, stop: int, device: torch.device) -> Rotation:
        """Return the rotation of the positions from `start` to `stop`."""
        cosine, sine = self._all(device)
        return cosine[start:stop], sine[start:stop]

    def of(self, positions: Int[Tensor, " time"]) -> Rotation:
        """Return the rotation of any positions."""
        cosine, sine = self._all(positions.device)
        return cosine.index_select(0, positions), sine.index_select(0, positions)

    def _all(self, device: torch.device) -> Rotation:
        if device not in self._tables:
            self._tables[device] = self._table(device)
        return self._tables[device]

    def _table(self, device: torch.device) -> Rotation:
        config = self._config
        # outside inference mode, since a table that generation made must serve training too
        with torch.device("cpu"), torch.inference_mode(False):
            found, scale = frequencies(config.head_size, config.rope_theta), 1.0
            if config.rope_scaling == "linear":
                found = found / config.rope_factor
            elif config.rope_scaling == "yarn":
                found = yarn(found, config.rope_theta, config.rope_factor, config.rope_original_context)
                scale = sharpening(config.rope_factor)
            elif config.rope_scaling == "llama3":
                found = llama3(found, config.rope_factor, config.rope_original_context)
            return angles(found, config.context_length, device, scale)


def frequencies(head_size: int, theta: float) -> Float[Tensor, " half"]:
    """Return by what angle each pair turns from one position to the next: `theta ** (-2 i / head_size)`."""
    return 1.0 / theta ** (torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)


def yarn(
    frequency: Float[Tensor, " half"], theta: float, factor: float, original_context: int
) -> Float[Tensor, " half"]:
    """Slow down the pairs that turn less than once in `original_context` by `factor`, fast ones not at all.

    Between them, from 32 turns down to one, the change grows evenly with the number of the pair.

    >>> yarn(frequencies(8, 100.0), 100.0, 4.0, 64)
    tensor([1.0000, 0.2372, 0.0500, 0.0079])
    """
    half = len(frequency)

    def pair(turns: float) -> float:
        """Return which pair, as a broken number, turns so often in the context that was learnt."""
        return half * math.log(original_context / (turns * 2 * math.pi)) / math.log(theta)

    # so rounded and so bounded, for transformers and vLLM do it so
    first = max(math.floor(pair(_MOST_TURNS)), 0)
    last = min(math.ceil(pair(_LEAST_TURNS)), 2 * half - 1)
    slowed = ((torch.arange(half, dtype=torch.float32) - first) / ((last - first) or 0.001)).clamp(0, 1)
    return frequency / factor * slowed + frequency * (1 - slowed)


def llama3(frequency: Float[Tensor, " half"], factor: float, original_context: int) -> Float[Tensor, " half"]:
    """Slow down the pairs that turn less than once in `original_context` by `factor`, those of 4 turns not at all.

    Between them the change grows evenly with the number of turns.

    >>> llama3(frequencies(8, 100.0), 8.0, 64)
    tensor([1.0000, 0.2444, 0.0130, 0.0040])
    """
    least, most = LLAMA3_TURNS
    turns = frequency * (original_context / (2 * math.pi))
    kept = ((turns - least) / (most - least)).clamp(0, 1)
    return frequency * (kept + (1 - kept) / factor)


def sharpening(factor: float) -> float:
    """Return what YaRN multiplies queries and keys with: the more keys there are, the sharper attention must be.

    >>> sharpening(1.0), round(sharpening(4.0), 4)
    (1.0, 1.1386)
    """
    return 0.1 * math.log(max(factor, 1.0)) + 1.0


def angles(
    frequency: Float[Tensor, " half"], positions: int, device: torch.device | str = "cpu", scale: float = 1.0
) -> Rotation:
    """Compute cosines and sines of `position * frequency`, times `scale`."""
    # on the CPU in float32, as transformers does, so that every device turns by the same angles
    angle = torch.outer(torch.arange(positions, dtype=torch.float32), frequency).unsqueeze(1)
    return (angle.cos() * scale).to(device), (angle.sin() * scale).to(device)


def rotate(
    x: Float[Tensor, "batch time heads head"], rotation: Rotation, dtype: torch.dtype
) -> Float[Tensor, "batch time heads head"]:
    """Turn each pair of numbers in `x` by its position's angle; return `dtype`.

    >>> quarter = (torch.tensor([[[0.0]]]), torch.tensor([[[1.0]]]))
    >>> rotate(torch.tensor([[[[2.0, 3.0]]]]), quarter, torch.float32)
    tensor([[[[-3.,  2.]]]])
    """
    cosine, sine = rotation
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1).to(dtype)
