"""What training asks of the rows that it learns from, whether they are cut from running text or are examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from textus.dataset.pack import Indices, Source
from textus.dataset.window import Window


class Named(Protocol):
    """Tells what the rows are of."""

    @property
    def data_fingerprint(self) -> str:
        """Hash the data: the same under any tokenizer."""
        ...

    @property
    def tokenizer_fingerprint(self) -> str:
        """Return the fingerprint of the tokenizer that made the tokens."""
        ...


class Rows(Protocol):
    """Rows numbered from 0 through all epochs: a pure function from numbers to tokens. `Windows` and `Mixture` are."""

    @property
    def split(self) -> Named:
        """Say what the rows are of."""
        ...

    @property
    def per_epoch(self) -> int:
        """Count the rows that show everything once."""
        ...

    def rows(self, numbers: Sequence[int] | Indices) -> Window:
        """Return the rows with these numbers."""
        ...

    def sources(self, number: int) -> list[Source]:
        """Say which tokens of which documents a row shows."""
        ...
