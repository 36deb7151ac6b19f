"""Keys and values of what was already read, so that the next token costs one position."""

from __future__ import annotations

from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textus.model.config import ModelConfig


class Memory(Protocol):
    """Keep keys and values of texts that have nothing in common, and say what each of their tokens gathers.

    `Transformer.encode_at` lays tokens of any texts end to end; only the memory knows which belongs where.
    """

    def attend(
        self,
        layer: int,
        query: Float[Tensor, "1 heads tokens head"],
        keys: Float[Tensor, "1 kv_heads tokens head"],
        values: Float[Tensor, "1 kv_heads tokens head"],
    ) -> Float[Tensor, "1 heads tokens head"]:
        """Keep one layer's new keys and values, and average for each query the values that it sees."""
        ...


class KeyValueCache:
    """Hold keys and values of every layer in memory that is reserved once, and fill it from the left.

    Row `r` of the cache belongs to row `r` of the tokens; all rows have the same length.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch: int,
        capacity: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (config.num_layers, batch, config.num_kv_heads, capacity, config.head_size)
        self._keys = torch.zeros(shape, device=device, dtype=dtype)
        self._values = torch.zeros_like(self._keys)
        self._length = 0

    @property
    def length(self) -> int:
        """How many positions are filled."""
        return self._length

    @property
    def capacity(self) -> int:
        """How many positions fit."""
        return self._keys.shape[3]

    @property
    def batch(self) -> int:
        """How many rows there are."""
        return self._keys.shape[1]

    def append(
        self,
        layer: int,
        keys: Float[Tensor, "batch kv_heads time head"],
        values: Float[Tensor, "batch kv_heads time head"],
    ) -> tuple[Float[Tensor, "batch kv_heads total head"], Float[Tensor, "batch kv_heads total head"]]:
        """Put one layer's new positions behind the old ones and return all of them; `advance` makes them count."""
        end = self._length + keys.shape[2]
        assert end <= self.capacity, f"{end} positions do not fit a cache of {self.capacity}"
        self._keys[layer, :, :, self._length : end] = keys
        self._values[layer, :, :, self._length : end] = values
        return self._keys[layer, :, :, :end], self._values[layer, :, :, :end]

    def advance(self, time: int) -> None:
        """Count `time` positions as filled, once every layer has appended them."""
        self._length += time

    def crop(self, length: int) -> None:
        """Forget all but the first `length` positions."""
        assert 0 <= length <= self._length, f"cannot crop {self._length} positions to {length}"
        self._length = length

    def begin_with(self, other: KeyValueCache, rows: Int[Tensor, " rows"]) -> None:
        """Take over what another cache holds of these rows, into one of as many rows that holds nothing yet."""
        assert not self._length and self.batch == len(rows) and self.capacity >= other.length
        for mine, theirs in ((self._keys, other._keys), (self._values, other._values)):
            mine[:, :, :, : other.length] = theirs[:, :, :, : other.length].index_select(1, rows)
        self._length = other.length

    def select(self, rows: Int[Tensor, " rows"]) -> None:
        """Keep these rows, in this order; a row may be named twice, as beams do."""
        self._keys = self._keys.index_select(1, rows)
        self._values = self._values.index_select(1, rows)
