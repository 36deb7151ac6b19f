"""Some documents of a split, as a split of their own: the tokens stay where they are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Int64, Integer

from textus import fingerprint
from textus.dataset.split import TokenSplit


class Selection(TokenSplit):
    """The documents of `whole` with the numbers `documents`, end to end, under their own numbers from 0."""

    def __init__(
        self, whole: TokenSplit, name: str, documents: Sequence[int] | Int64[np.ndarray, " documents"]
    ) -> None:
        chosen = np.asarray(documents, np.int64)
        data = fingerprint.of_parts([whole.data_fingerprint, fingerprint.of_bytes(chosen.astype("<i8").tobytes())])
        super().__init__(name, whole.shards, data)
        self.whole = whole
        self.documents = chosen
        """The number in `whole` of each document."""

    @property
    def num_tokens(self) -> int:
        """Count the tokens of the chosen documents."""
        return int(self.offsets[-1])

    @property
    def num_documents(self) -> int:
        """Count the chosen documents."""
        return len(self.documents)

    @property
    def num_bytes(self) -> int:
        """Sum the bytes of UTF-8 of the chosen texts."""
        return int(self.document_bytes.sum())

    @cached_property
    def offsets(self) -> Int64[np.ndarray, " documents_and_1"]:
        """Return where each document begins, and behind them where the last one ends."""
        lengths = np.diff(self.whole.offsets)[self.documents]
        return np.concatenate([[0], np.cumsum(lengths)])

    @cached_property
    def document_bytes(self) -> Int64[np.ndarray, " documents"]:
        """Return the bytes of UTF-8 of each document's text."""
        sizes: np.ndarray = self.whole.document_bytes[self.documents]
        return sizes

    def tokens(self, start: int, stop: int) -> Integer[np.ndarray, " tokens"]:
        """Return a copy of the tokens from position `start` to `stop`, excluded."""
        assert 0 <= start <= stop <= self.num_tokens
        return self.take(np.arange(start, stop))

    def take(self, positions: Int64[np.ndarray, " tokens"]) -> Integer[np.ndarray, " tokens"]:
        """Return the tokens at `positions`, in their order."""
        return self.whole.take(positions + self._shifts[np.searchsorted(self.offsets, positions, "right") - 1])

    @cached_property
    def _shifts(self) -> Int64[np.ndarray, " documents"]:
        shifts: np.ndarray = self.whole.offsets[self.documents] - self.offsets[:-1]
        return shifts
