"""What was said so far: the tokens that processors look back on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache

import torch
from jaxtyping import Bool, Int
from torch import Tensor

NO_TOKEN = -1
"""Fills the history of a row that is shorter than its neighbours, on its left."""


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """Hold the tokens of each row, prompt first, so that the newest stands in the last column.

    >>> said = History.of([[5, 6, 7], [8]], written=[1, 1])
    >>> said.tokens.tolist(), said.is_written.tolist()
    ([[5, 6, 7], [-1, -1, 8]], [[False, False, True], [False, False, True]])
    """

    tokens: Int[Tensor, "batch time"]
    """Filled with `NO_TOKEN` on the left."""
    written: Int[Tensor, " batch"]
    """How many of each row's last tokens the model wrote; those before them are the prompt."""

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], written: Sequence[int] | None = None) -> History:
        """Make a history of rows of any lengths, all of it prompt unless `written` says otherwise."""
        time = max(map(len, rows), default=0)
        padded = [[NO_TOKEN] * (time - len(row)) + list(row) for row in rows]
        tokens = torch.tensor(padded, dtype=torch.int64).reshape(len(rows), time)
        return cls(tokens, torch.tensor(written or [0] * len(rows), dtype=torch.int64))

    @property
    def is_written(self) -> Bool[Tensor, "batch time"]:
        """Tell of each place whether the model wrote it."""
        time = self.tokens.shape[1]
        places = torch.arange(time, device=self.tokens.device)
        return places >= time - self.written[:, None]

    def row(self, number: int) -> tuple[list[int], list[int]]:
        """Return one row's prompt and what was written behind it, without the filling."""
        tokens = [token for token in self.tokens[number].tolist() if token != NO_TOKEN]
        begin = len(tokens) - int(self.written[number])
        return tokens[:begin], tokens[begin:]


@cache
def ids(tokens: tuple[int, ...], device: torch.device) -> Int[Tensor, " tokens"]:
    """Return tokens as a tensor, the same one every time: a step copies nothing to a device."""
    with torch.inference_mode(False):
        return torch.tensor(tokens, dtype=torch.int64, device=device)
