"""The tokens of one split of a corpus, over as many files as they fill."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Int64, Integer

from textus.dataset.shard import TokenShard


class TokenSplit:
    """The shards of one split as one long row of tokens; positions and documents count through all of them."""

    def __init__(self, name: str, shards: Sequence[TokenShard], data_fingerprint: str) -> None:
        assert shards, "a split has one shard at least"
        self.name = name
        self.shards = tuple(shards)
        self.data_fingerprint = data_fingerprint
        """Hash of the ids of the documents in order: the same text under any tokenizer."""
        self._starts = np.cumsum([0, *(shard.header.num_tokens for shard in shards)])

    @property
    def num_tokens(self) -> int:
        """Count all tokens, both ENDs of each document included."""
        return int(self._starts[-1])

    @property
    def num_documents(self) -> int:
        """Count the documents."""
        return sum(shard.header.num_documents for shard in self.shards)

    @property
    def num_bytes(self) -> int:
        """Sum the bytes of UTF-8 of all texts."""
        return sum(shard.header.num_bytes for shard in self.shards)

    @property
    def vocab_size(self) -> int:
        """Return the size of the vocabulary that the tokens are of."""
        return self.shards[0].header.vocab_size

    @property
    def tokenizer_fingerprint(self) -> str:
        """Return the fingerprint of the tokenizer that made the tokens."""
        return self.shards[0].header.tokenizer

    @cached_property
    def offsets(self) -> Int64[np.ndarray, " documents_and_1"]:
        """Return where each document begins, and behind them where the last one ends."""
        if len(self.shards) == 1:
            return self.shards[0].offsets
        parts = [shard.offsets[:-1] + start for shard, start in zip(self.shards, self._starts, strict=False)]
        return np.concatenate([*parts, self._starts[-1:]])

    @cached_property
    def document_bytes(self) -> Int64[np.ndarray, " documents"]:
        """Return the bytes of UTF-8 of each document's text."""
        return np.concatenate([shard.document_bytes for shard in self.shards])

    def tokens(self, start: int, stop: int) -> Integer[np.ndarray, " tokens"]:
        """Return the tokens from position `start` to `stop`, excluded; a view where they lie in one file."""
        assert 0 <= start <= stop <= self.num_tokens
        first = min(int(np.searchsorted(self._starts, start, "right")), len(self.shards)) - 1
        last = max(first, int(np.searchsorted(self._starts, stop, "left")) - 1)
        parts: list[np.ndarray] = [
            shard.tokens[max(0, start - at) : stop - at]
            for shard, at in zip(self.shards[first : last + 1], self._starts[first:].tolist(), strict=False)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def document(self, index: int) -> Integer[np.ndarray, " tokens"]:
        """Return a document's tokens: END, its text, END."""
        return self.tokens(int(self.offsets[index]), int(self.offsets[index + 1]))

    def take(self, positions: Int64[np.ndarray, " tokens"]) -> Integer[np.ndarray, " tokens"]:
        """Return the tokens at `positions`, in their order."""
        if len(self.shards) == 1:
            only: np.ndarray = self.shards[0].tokens[positions]
            return only
        found = np.empty(len(positions), self.shards[0].tokens.dtype)
        which = np.searchsorted(self._starts, positions, "right") - 1
        for number in np.unique(which).tolist():
            here = which == number
            found[here] = self.shards[number].tokens[positions[here] - self._starts[number]]
        return found
