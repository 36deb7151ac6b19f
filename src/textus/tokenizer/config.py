"""What a person may say about the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from textus.config import AUTO, Positive, Range, Settings

SMALLEST_VOCABULARY = 260
"""The 256 bytes and the 4 special tokens."""
LARGEST_VOCABULARY = 1_048_576


@dataclass(frozen=True)
class TokenizerConfig(Settings):
    """Settings of the tokenizer that is trained on the training part of a corpus."""

    vocab_size: Annotated[int, Range(SMALLEST_VOCABULARY, LARGEST_VOCABULARY)] | AUTO = "auto"
    """How many tokens there are, special ones and single bytes included; auto: chosen from the corpus size."""
    sample_mb: Positive = 256.0
    """Learn the vocabulary from at most this many megabytes of text, taken evenly from the whole training part."""
