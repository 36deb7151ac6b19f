"""Examples whose tokens are only partly asked: conversations, or pairs of answers; kept on disk, mapped into memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, Integer

from textus.dataset.shard import token_dtype
from textus.errors import ArtefactError
from textus.storage import refusals

_PARTS = ("tokens", "asked", "offsets")


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

    @classmethod
    def of(
        cls,
        name: str,
        examples: Iterable[tuple[Sequence[int], Sequence[bool]]],
        vocab_size: int,
        *,
        data: str = "",
        tokenizer: str = "",
    ) -> Examples:
        """Lay examples end to end: the tokens of each, and which are asked."""
        kind = token_dtype(vocab_size)
        tokens, asked, offsets = array("H" if kind.itemsize == 2 else "I"), bytearray(), array("q", [0])
        for new, new_asked in examples:
            assert len(new) == len(new_asked)
            tokens.extend(new)
            asked += bytes(map(int, new_asked))
            offsets.append(len(tokens))
        return cls(
            name,
            np.frombuffer(tokens, kind) if tokens else np.empty(0, kind),
            np.frombuffer(bytes(asked), np.bool_),
            np.array(offsets, np.int64),
            data,
            tokenizer,
        )

    def save(self, directory: Path) -> None:
        """Write one file for each part into a directory that the caller makes atomic."""
        with refusals(directory):
            for part in _PARTS:
                np.save(directory / f"{self.name}-{part}.npy", getattr(self, part))

    @classmethod
    def open(cls, directory: Path, name: str, *, data: str, tokenizer: str) -> Examples:
        """Map what `save` wrote; raise `ArtefactError` where it is missing or cut short."""
        try:
            parts = [np.load(directory / f"{name}-{part}.npy", mmap_mode="r") for part in _PARTS]
        except (OSError, ValueError) as error:
            raise ArtefactError(f"{directory}: its examples are damaged: {error}", hint="make them again") from None
        return cls(name, *parts, data, tokenizer)

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
