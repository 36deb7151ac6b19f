"""The settings of the engine."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from textus.config import Count, Range, Settings
from textus.errors import ConfigError

CHUNK_TOKENS = {"cpu": 512, "gpu": 2048}
"""What a pass over tokens of prompts is worth: on a GPU one of 2,048 takes little longer than one of 512."""


@dataclasses.dataclass(frozen=True)
class EngineConfig(Settings):
    """How many texts are written side by side, and in what memory."""

    batch_size: Count = 64
    """How many texts are written at once; more wait their turn."""
    cache_tokens: Count = 16384
    """For how many tokens keys and values are kept; the context of the model at the least."""
    block_size: Count = 16
    """In blocks of how many tokens the cache is given out, and shared between texts that begin alike."""
    chunk_tokens: Count | Literal["auto"] = "auto"
    """How many tokens of prompts are read in one pass, beside those that are written; auto: 2048 on a GPU, else 512."""
    fixed_batch: Count | Literal["off"] = "off"
    """Every pass has exactly this many tokens, so that a text is the same, bit for bit, whatever is written beside."""

    burst: Annotated[int, Range(1, 16)] = 8
    """So many tokens a GPU writes before the host looks at them, where nobody waits for a place."""

    def __post_init__(self) -> None:
        super().__post_init__()
        least = self.chunk("cpu")
        if self.fixed_batch != "off" and (self.block_size % self.fixed_batch or least < self.fixed_batch):
            raise ConfigError(
                f"EngineConfig: passes of {self.fixed_batch} tokens do not fill blocks of {self.block_size}, or "
                f"chunks of {least} tokens are smaller",
                hint="fixed_batch must divide block_size: 8 is usual",
            )

    def chunk(self, device: Literal["cpu", "gpu"]) -> int:
        """Return how many tokens of prompts are read in one pass there."""
        return CHUNK_TOKENS[device] if self.chunk_tokens == "auto" else self.chunk_tokens
