from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from textus.objectives.vocabulary import Vocabulary
from textus.tokenizer.alphabet import BYTES
from textus.tokenizer.content import SPECIAL_TOKENS, trained
from textus.tokenizer.tokenizer import Tokenizer


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Such small products only lose by sharing them out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """Bytes and a few pieces of words."""
    merges = [("t", "h"), ("th", "e"), ("l", "o"), ("lo", "o"), ("loo", "m"), ("w", "e"), ("Ġ", "w"), ("Ġw", "o")]
    names = [*SPECIAL_TOKENS, *sorted(BYTES), *("".join(pair) for pair in merges)]
    return Tokenizer(trained({name: token for token, name in enumerate(names)}, merges))


@pytest.fixture(scope="session")
def vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    return Vocabulary.of(tokenizer)
