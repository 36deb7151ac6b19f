"""Keys and values of many texts in blocks, and one pass over tokens of any of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from textus.decoding.engine.request import Segment
from textus.model.attention import causal_bias
from textus.model.config import ModelConfig

Layer = Float[Tensor, "slots kv_heads head"]


class PagedMemory:
    """Hold the keys and values of every block, and of one more for tokens that fill up a pass."""

    def __init__(
        self,
        config: ModelConfig,
        blocks: int,
        size: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.size = size
        """How many tokens a block holds."""
        self.spare = blocks * size
        """The first slot of the block that no text has."""
        shape = (config.num_layers, (blocks + 1) * size, config.num_kv_heads, config.head_size)
        # zeros, since a pass of whole blocks also multiplies what nobody wrote by nothing
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros_like(self.keys)

    def slots(self, table: Sequence[int], start: int, stop: int) -> list[int]:
        """Return where the tokens at `start` to `stop` of a text with these blocks are kept."""
        size = self.size
        return [table[place // size] * size + place % size for place in range(start, stop)]


class Pass:
    """Read segments of texts, laid end to end, each text seen by itself; the tokens behind the last fill up."""

    def __init__(self, memory: PagedMemory, segments: Sequence[Segment], tokens: int, copies: bool) -> None:
        self._memory = memory
        self._segments = segments
        self._copies = copies
        """Whether keys are always copied before they are used, so that they lie alike wherever they are kept."""
        slots = [memory.slots(part.request.table, part.start, part.stop) for part in segments]
        places = [slot for part in slots for slot in part]
        places += [memory.spare + place % memory.size for place in range(tokens - len(places))]
        device = memory.keys.device
        self._slots = torch.tensor(places, device=device)
        self._tables = [
            None if part.request.is_run and not copies else torch.tensor(part.request.table, device=device)
            for part in segments
        ]

    def attend(
        self,
        layer: int,
        query: Float[Tensor, "1 heads tokens head"],
        keys: Float[Tensor, "1 kv_heads tokens head"],
        values: Float[Tensor, "1 kv_heads tokens head"],
    ) -> Float[Tensor, "1 heads tokens head"]:
        """Keep what is new, and let each token see what stands before it in its own text."""
        kept_keys, kept_values = self._memory.keys[layer], self._memory.values[layer]
        kept_keys.index_copy_(0, self._slots, keys[0].transpose(0, 1))
        kept_values.index_copy_(0, self._slots, values[0].transpose(0, 1))
        if len(self._segments) == 1 and self._segments[0].size == query.shape[2]:
            part, table = self._segments[0], self._tables[0]
            return _mix(query, self._seen(kept_keys, part, table), self._seen(kept_values, part, table))
        _, heads, tokens, size = query.shape
        mixed = query.new_zeros(1, tokens, heads, size).transpose(1, 2)
        first = 0
        for part, table in zip(self._segments, self._tables, strict=True):
            last = first + part.size
            seen = (self._seen(kept, part, table) for kept in (kept_keys, kept_values))
            mixed[:, :, first:last] = _mix(query[:, :, first:last], *seen)
            first = last
        return mixed

    def _seen(
        self, kept: Layer, part: Segment, table: Int[Tensor, " blocks"] | None
    ) -> Float[Tensor, "1 kv time head"]:
        if table is None:
            first = part.request.table[0] * self._memory.size
            found = kept[first : first + part.stop]
        else:
            found = kept.view(-1, self._memory.size, *kept.shape[1:]).index_select(0, table).flatten(0, 1)[: part.stop]
        return found.transpose(0, 1)[None]


def _mix(
    query: Float[Tensor, "1 heads new head"],
    keys: Float[Tensor, "1 kv time head"],
    values: Float[Tensor, "1 kv time head"],
) -> Float[Tensor, "1 heads new head"]:
    """Attend with the last `new` of `time` positions."""
    heads, new = query.shape[1:3]
    kv_heads, time = keys.shape[1:3]
    if new == 1:
        # the queries that share a key see the same: to the kernel they are so many positions of one head
        grouped = query.reshape(1, kv_heads, heads // kv_heads, -1)
        return functional.scaled_dot_product_attention(grouped, keys, values).reshape(1, heads, 1, -1)
    bias = None if new == time else causal_bias(new, time, query.device, query.dtype)
    return functional.scaled_dot_product_attention(
        query, keys, values, attn_mask=bias, is_causal=bias is None, enable_gqa=heads != kv_heads
    )


class Rows:
    """Read one token of each of several texts, in tensors that stay where they are: what a graph of the GPU needs.

    All texts are given as many keys as the longest may have, and a mask.
    """

    def __init__(self, memory: PagedMemory, rows: int, blocks: int) -> None:
        self._memory = memory
        self._layout = torch.zeros(rows, blocks + 3, dtype=torch.int64, device=memory.keys.device)
        """Of each text: its token, the token's position and slot, and its blocks."""
        self._reach = torch.arange(blocks * memory.size, device=memory.keys.device)

    @property
    def tokens(self) -> Int[Tensor, " rows"]:
        """The token of each row."""
        return self._layout[:, 0]

    @property
    def positions(self) -> Int[Tensor, " rows"]:
        """Where each stands in its text."""
        return self._layout[:, 1]

    def fill(self, tokens: Sequence[int], segments: Sequence[Segment]) -> None:
        """Say what is read; rows without a segment read and write where no text is."""
        rows, width = self._layout.shape
        spare, size = self._memory.spare, self._memory.size
        lines = [[0, 0, spare] + [spare // size] * (width - 3)] * rows
        for row, (token, part) in enumerate(zip(tokens, segments, strict=True)):
            table = part.request.table[: part.start // size + 1]
            slot = table[-1] * size + part.start % size
            lines[row] = [token, part.start, slot, *table, *[spare // size] * (width - 3 - len(table))]
        found = torch.tensor(lines, dtype=torch.int64)
        if self._layout.is_cuda:
            found = found.pin_memory()
        self._layout.copy_(found, non_blocking=True)

    def attend(
        self,
        layer: int,
        query: Float[Tensor, "1 heads rows head"],
        keys: Float[Tensor, "1 kv_heads rows head"],
        values: Float[Tensor, "1 kv_heads rows head"],
    ) -> Float[Tensor, "1 heads rows head"]:
        """Keep what is new, and let each token see its text."""
        slots, tables = self._layout[:, 2], self._layout[:, 3:]
        self._memory.keys[layer].index_copy_(0, slots, keys[0].transpose(0, 1))
        self._memory.values[layer].index_copy_(0, slots, values[0].transpose(0, 1))
        mask: Bool[Tensor, "rows 1 1 time"] = (self._reach <= self.positions[:, None])[:, None, None]
        rows, heads, kv_heads = len(slots), query.shape[1], keys.shape[1]
        mixed = functional.scaled_dot_product_attention(
            query[0].transpose(0, 1).reshape(rows, kv_heads, heads // kv_heads, -1),
            self._seen(self._memory.keys[layer], tables),
            self._seen(self._memory.values[layer], tables),
            attn_mask=mask,
        )
        return mixed.flatten(1, 2).transpose(0, 1)[None]

    def _seen(self, kept: Layer, tables: Int[Tensor, "rows blocks"]) -> Float[Tensor, "rows kv time head"]:
        blocks = kept.view(-1, self._memory.size, *kept.shape[1:])[tables]
        return blocks.flatten(1, 2).transpose(1, 2)
