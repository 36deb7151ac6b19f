"""Rotary positions: turn pairs of a head's numbers by an angle that grows with the position.

Su et al. 2021, arXiv 2104.09864. Number `i` is paired with `i + head_size / 2`, as in Llama and Qwen. The product of a
query and a key then depends on their distance only, so documents that share a window need no positions of their own.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Rotation = tuple[Float[Tensor, "time 1 half"], Float[Tensor, "time 1 half"]]
"""Cosines and sines of the angle of each position and pair."""


class Rotary:
    """Keep the cosines and sines of every position, in float32 whatever the model's format."""

    def __init__(self, head_size: int, context_length: int, theta: float) -> None:
        self._head_size, self._context_length, self._theta = head_size, context_length, theta
        self._tables: dict[torch.device, Rotation] = {}

    def at(self, start: int, stop: int, device: torch.device) -> Rotation:
        """Return the rotation of the positions from `start` to `stop`."""
        if device not in self._tables:
            self._tables[device] = angles(self._head_size, self._context_length, self._theta, device)
        cosine, sine = self._tables[device]
        return cosine[start:stop], sine[start:stop]


def angles(head_size: int, positions: int, theta: float, device: torch.device | str = "cpu") -> Rotation:
    """Compute cosines and sines of `position * theta ** (-2 i / head_size)`."""
    # on the CPU in float32, as transformers does, so that every device turns by the same angles; outside inference
    # mode, since a table that generation made must serve training too
    with torch.device("cpu"), torch.inference_mode(False):
        frequency = 1.0 / theta ** (torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
        angle = torch.outer(torch.arange(positions, dtype=torch.float32), frequency).unsqueeze(1)
        return angle.cos().to(device), angle.sin().to(device)


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
