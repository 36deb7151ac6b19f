from __future__ import annotations

from pydoc_data.topics import topics

import pytest

from textus.tokenizer.config import TokenizerConfig
from textus.tokenizer.tokenizer import Tokenizer
from textus.tokenizer.train import train_tokenizer

FOREIGN = "Größe, où, ça, señor; Привет, мир! 你好，世界。今天天气很好。 こんにちは 🦙🚀 ½ ² x̂ 100\u00a0000\u2028" * 20


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Prose and code in ASCII, and some text in other scripts."""
    return [*topics.values(), FOREIGN]


@pytest.fixture(scope="session")
def tokenizer(texts: list[str]) -> Tokenizer:
    num_bytes = sum(len(text.encode()) for text in texts)
    return train_tokenizer(texts, TokenizerConfig(vocab_size=2048), num_bytes)
