"""The model's view of rows of tokens that grow together: a cache, and a context that slides when it is full."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textus.decoding.history import History
from textus.model.transformer import Transformer
from textus.objectives.measure import evaluating


class Reader:
    """Read one prompt, let it become several rows, and say after each token what may follow."""

    def __init__(self, model: Transformer, prompt: Sequence[int], vocab_size: int) -> None:
        self.model = model
        self.device = model.embedding.weight.device
        self._vocab_size = vocab_size
        self._tokens = torch.tensor([prompt], device=self.device)
        self._prompt = len(prompt)
        self._cache = model.new_cache(1)
        self._begin = 0
        self._copies = 1

    def split(self, copies: int) -> None:
        """Let the one row become several, once it has been read."""
        self._copies = copies

    @property
    def room(self) -> int:
        """How many tokens may still be added before the context slides."""
        return self.model.config.context_length - (self._tokens.shape[1] - self._begin)

    @property
    def history(self) -> History:
        """The text so far, without the END before it, which nobody wrote."""
        rows, time = self._tokens.shape
        written = torch.full((rows,), time - self._prompt, dtype=torch.int64, device=self.device)
        return History(self._tokens[:, 1:], written)

    @torch.inference_mode()
    def logits(self) -> Float[Tensor, "batch vocab"]:
        """Read what is new and return what may follow."""
        logits = self._read(self._tokens, 1)[:, -1]
        if self._copies > 1:
            same = torch.zeros(self._copies, dtype=torch.int64, device=self.device)
            logits, self._copies = self._keep(logits, same), 1
        return logits

    @torch.inference_mode()
    def logits_beyond(self, guesses: Sequence[int]) -> Float[Tensor, "places vocab"]:
        """Return what may follow the one row, and what may follow it with one, two, ... of these tokens behind it.

        The row stays as it is; `room` must hold the guesses.
        """
        assert len(guesses) <= max(0, self.room), "guesses must not let the context slide"
        guessed = torch.tensor([guesses], dtype=torch.int64, device=self.device)
        logits = self._read(torch.cat([self._tokens, guessed], dim=1), 1 + len(guesses))[0]
        self._cache.crop(self._cache.length - len(guesses))
        return logits

    @torch.inference_mode()
    def append(self, tokens: Int[Tensor, " batch"], going: Sequence[int]) -> None:
        """Add each row's next token, and go on with the rows at these places."""
        tokens = tokens.to(self.device)
        if len(going) < len(tokens):
            tokens = self._keep(tokens, torch.tensor(going, device=self.device))
        self._tokens = torch.cat([self._tokens, tokens[:, None]], dim=1)

    @torch.inference_mode()
    def branch(self, parents: Int[Tensor, " rows"], tokens: Int[Tensor, " rows"]) -> None:
        """Go on with these rows, a row as often as it is named, each with its next token."""
        self._tokens = torch.cat([self._tokens.index_select(0, parents), tokens[:, None]], dim=1)
        self._cache.select(parents)

    def become(self, tokens: Sequence[int]) -> None:
        """Stand for another text in one row; what it shares with the one before need not be read again."""
        before = self._tokens[0].tolist()
        shared = next((place for place, pair in enumerate(zip(before, tokens, strict=False)) if pair[0] != pair[1]), -1)
        shared = min(len(before), len(tokens)) if shared < 0 else shared
        self._tokens = torch.tensor([tokens], device=self.device)
        # The last token is always read, for what follows it.
        kept = min(self._cache.length, shared - self._begin, len(tokens) - 1 - self._begin)
        if kept < 0:
            self._begin = kept = 0
        self._cache.crop(kept)

    def _read(self, tokens: Int[Tensor, "batch time"], last: int) -> Float[Tensor, "batch last vocab"]:
        context = self.model.config.context_length
        if self._tokens.shape[1] - self._begin > context:
            self._begin = self._tokens.shape[1] - max(1, context // 2)
            self._cache.crop(0)
        unread = tokens[:, self._begin + self._cache.length :]
        # Switching a model's mode walks all its modules: not for every token, where it is right already.
        with evaluating(self.model) if self.model.training else nullcontext():
            states = self.model.encode(unread, cache=self._cache)[:, -last:]
            logits: Tensor = self.model.head(states).float()
        # Imported models may have more outputs than there are tokens, to fill up a matrix.
        return logits[..., : self._vocab_size]

    def _keep(self, values: Tensor, rows: Int[Tensor, " rows"]) -> Tensor:
        self._tokens = self._tokens.index_select(0, rows)
        self._cache.select(rows)
        return values.index_select(0, rows)
