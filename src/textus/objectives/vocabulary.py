"""What hiding tokens needs to know of a tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textus.tokenizer.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Say which token hides others, which may be hidden, and where words begin."""

    mask: int
    """The token that takes the place of a hidden one."""
    ordinary: npt.NDArray[np.int64]
    """Every token that may be hidden, and that may take another's place: no special one."""
    is_special: npt.NDArray[np.bool_]
    """Whether a token is never asked, by its number."""
    word_starts: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.bool_]]
    """Tells of each token of a row whether a word begins with it."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Vocabulary:
        """Read it off a tokenizer; raise `TokenizerError` where that has no token that hides."""
        mask, is_special = tokenizer.mask, np.zeros(tokenizer.vocab_size, np.bool_)
        is_special[[mask, *tokenizer.special]] = True
        return cls(mask, np.flatnonzero(~is_special), is_special, tokenizer.word_starts)
