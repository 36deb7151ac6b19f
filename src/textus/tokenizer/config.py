"""What a person may say about the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from textus.config import Positive, Range, Settings

SMALLEST_VOCABULARY = 260
"""The 256 bytes and the 4 special tokens."""
LARGEST_VOCABULARY = 1_048_576


@dataclass(frozen=True)
class TokenizerConfig(Settings):
    """Settings of the tokenizer that is trained on the training part of a corpus."""

    vocab_size: Annotated[int, Range(SMALLEST_VOCABULARY, LARGEST_VOCABULARY)] | Literal["auto", "measured"] = "auto"
    """How many tokens there are, special ones and single bytes included; auto: chosen from the corpus size; measured:
    chosen by what each of some sizes comes to on the validation part, which takes longer."""
    sample_mb: Positive = 10_000.0
    """Learn the vocabulary from at most this many megabytes of text, taken evenly from the whole training part."""
    encoder: Literal["auto", "builtin", "gigatoken", "fastokens", "tiktoken", "tokenizers"] = "auto"
    """What turns a corpus into tokens; the tokens are the same. auto: for a large corpus, the fastest that is installed
    and passes a test."""
