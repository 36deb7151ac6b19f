"""Look for a watermark in texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textus.checkpoint.checkpoint import Checkpoint
from textus.decoding.watermark import Mark, read, read_key
from textus.tokenizer.tokenizer import Tokenizer


def watermark(model: str | Path | Checkpoint, texts: str | Sequence[str], *, key: str | Path) -> list[Mark]:
    """Return what the key in the file `key` finds in each text, as the vocabulary of `model` cuts it into tokens.

    The model itself is not asked: a directory with its `tokenizer.json` is enough.
    """
    tokenizer = model.tokenizer if isinstance(model, Checkpoint) else Tokenizer.load(Path(model))
    secret = read_key(key)
    given = [texts] if isinstance(texts, str) else texts
    return [read(tokenizer.encode(text), secret, tokenizer.vocab_size) for text in given]
