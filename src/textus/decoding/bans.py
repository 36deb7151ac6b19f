"""Processors that favour, forbid or put off tokens that the user names."""

from __future__ import annotations

import dataclasses
import math

import torch
from jaxtyping import Float
from torch import Tensor

from textus.config import Count, Settings
from textus.decoding.history import History, ids
from textus.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class LogitBias(Settings):
    """Add to the logits of some tokens.

    >>> LogitBias((0, 2), (1.5, -100.0))(torch.zeros(1, 3), History.of([[]])).tolist()
    [[1.5, 0.0, -100.0]]
    """

    tokens: tuple[int, ...]
    """Each token once."""
    biases: tuple[float, ...]
    """What is added to each: 5 makes it 148 times as likely, -100 all but forbids it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.tokens) != len(self.biases) or len(set(self.tokens)) < len(self.tokens):
            raise ConfigError("LogitBias: `tokens` must be distinct, with one bias each", hint="name each token once")

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Shift the logits."""
        return self.change(logits.clone(), history)

    def change(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Do so to these logits."""
        return logits.index_add_(1, ids(self.tokens, logits.device), _row(self.biases, logits).expand(len(logits), -1))


@dataclasses.dataclass(frozen=True)
class BadWords(Settings):
    """Forbid the token that would complete one of these runs of tokens; the prompt counts as their beginning.

    >>> BadWords(((1,), (2, 0)))(torch.zeros(1, 3), History.of([[2]])).tolist()
    [[-inf, -inf, 0.0]]
    """

    words: tuple[tuple[int, ...], ...]
    """Runs of tokens, none empty. Another spelling of the same text by other tokens is another run."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(self.words):
            raise ConfigError("BadWords: a word of no tokens", hint="leave the empty word out")

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Forbid the last token of each run."""
        return self.change(logits.clone(), history)

    def change(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Do so to these logits."""
        time = history.tokens.shape[1]
        for *begun, last in self.words:
            if len(begun) > time:
                continue
            said = history.tokens[:, time - len(begun) :] == ids(tuple(begun), logits.device)
            logits[:, last].masked_fill_(said.all(-1), -math.inf)
        return logits


@dataclasses.dataclass(frozen=True)
class MinLength(Settings):
    """Forbid the tokens that end a text until `tokens` were written.

    >>> MinLength(2, ends=(0,))(torch.zeros(2, 2), History.of([[1], [1, 1]], written=[1, 2])).tolist()
    [[-inf, 0.0], [0.0, 0.0]]
    """

    tokens: Count
    """How many tokens are written at least; the prompt does not count."""
    ends: tuple[int, ...]
    """The tokens that end a text."""

    def __call__(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Put off the end."""
        return self.change(logits.clone(), history)

    def change(self, logits: Float[Tensor, "batch vocab"], history: History) -> Float[Tensor, "batch vocab"]:
        """Do so to these logits."""
        ends = ids(self.ends, logits.device)
        put_off = logits.index_select(1, ends).masked_fill((history.written < self.tokens)[:, None], -math.inf)
        return logits.index_copy_(1, ends, put_off)


def _row(values: tuple[float, ...], logits: Tensor) -> Float[Tensor, "1 values"]:
    return torch.tensor([values], dtype=logits.dtype, device=logits.device)
