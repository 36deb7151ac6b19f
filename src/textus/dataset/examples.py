"""Examples whose tokens are only partly asked: conversations, or pairs of answers; kept on disk, mapped into memory."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, Integer

from textus.dataset.shard import token_dtype
from textus.errors import ArtefactError
from textus.storage import refusals

_PARTS = ("tokens", "asked", "offsets")


class Gathered:
    """Examples that are laid end to end, one after the other; three bytes a token, or five."""

    def __init__(self, vocab_size: int) -> None:
        self._kind = token_dtype(vocab_size)
        self._tokens = array("H" if self._kind.itemsize == 2 else "I")
        self._asked = bytearray()
        self._offsets = array("q", [0])

    def add(self, tokens: Sequence[int], asked: Sequence[bool]) -> None:
        """Add an example: its tokens, and which of them are asked."""
        assert len(tokens) == len(asked)
        self._tokens.extend(tokens)
        self._asked += bytes(asked)
        self._offsets.append(len(self._tokens))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def examples(self, name: str, data: str = "", tokenizer: str = "") -> Examples:
        """Return them."""
        return Examples(
            name,
            np.frombuffer(self._tokens, self._kind) if self._tokens else np.empty(0, self._kind),
            np.frombuffer(bytes(self._asked), np.bool_),
            np.array(self._offsets, np.int64),
            data,
            tokenizer,
        )


@dataclass(frozen=True, eq=False)
class Examples:
    """Examples end to end, each a document of its own; it stands where a `TokenSplit` stands."""

    name: str
    tokens: Integer[np.ndarray, " tokens"]
    asked: Bool[np.ndarray, " tokens"]
    """Which tokens must be predicted."""
    offsets: Int64[np.ndarray, " examples_and_1"]
    """Where each example begins, and behind them where the last one ends."""
    data_fingerprint: str
    tokenizer_fingerprint: str

    def save(self, directory: Path) -> None:
        """Write one file for each part into a directory that the caller makes atomic."""
        with refusals(directory):
            for part in _PARTS:
                np.save(directory / f"{self.name}-{part}.npy", getattr(self, part))

    @classmethod
    def open(cls, directory: Path, name: str, *, data: str, tokenizer: str) -> Examples:
        """Map what `save` wrote; raise `ArtefactError` where it is missing or cut short."""
        try:
            tokens, asked, offsets = (np.load(directory / f"{name}-{part}.npy", mmap_mode="r") for part in _PARTS)
        except (OSError, ValueError) as error:
            raise ArtefactError(f"{directory}: its examples are damaged: {error}", hint="make them again") from None
        return cls(name, tokens, asked, offsets, data, tokenizer)

    @property
    def num_tokens(self) -> int:
        """Count the tokens of all examples."""
        return int(self.offsets[-1])

    @property
    def num_asked(self) -> int:
        """Count the tokens that must be predicted."""
        return int(np.count_nonzero(self.asked))

    def __len__(self) -> int:
        return len(self.offsets) - 1
