"""Write text with a causal model, one token at a time, streamed as it comes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import chain
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textus.config import Count, Range, check
from textus.decoding.stop import StopFilter
from textus.decoding.strategy import Strategy
from textus.errors import ConfigError
from textus.model.transformer import Transformer
from textus.objectives.measure import evaluating
from textus.tokenizer.tokenizer import Tokenizer

ROWS_AT_ONCE = 64
"""So many texts are written side by side; more are written in turns, in bounded memory."""
Rows = Annotated[int, Range(1, 2**20)]
FinishReason = Literal["stop", "length", "end"]
"""A stop string was met; `max_tokens` were written; the model ended the document."""


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """One token as it is written. A row's pieces, joined, are its text."""

    text: str
    """What is certain to belong to the text by now: it may lag behind the token and may be empty."""
    token: int
    logprob: float
    """ln p(token) under the model itself, before any processor."""
    row: int = 0
    """Which of the `n` texts this belongs to."""
    finish_reason: FinishReason | Literal[""] = ""
    """Why this piece is the row's last; empty while more follows. An `end` piece is END itself, which has no text."""


@dataclasses.dataclass(frozen=True)
class Completion:
    """One text that a model wrote."""

    text: str
    """Without the prompt, and without the stop string that ended it."""
    tokens: tuple[int, ...]
    """All that were written, those of the stop string included; a closing END is not among them."""
    logprobs: tuple[float, ...]
    """ln p of each token under the model itself."""
    finish_reason: FinishReason

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return dataclasses.asdict(self)


def generate(
    model: Transformer,
    tokenizer: Tokenizer,
    prompt: str | Sequence[int],
    strategy: Strategy,
    *,
    max_tokens: int,
    stop: Sequence[str] = (),
    seed: int = 0,
    n: int = 1,
) -> Iterator[Piece]:
    """Continue `prompt` `n` times and yield each token as it is drawn, `ROWS_AT_ONCE` texts side by side.

    END goes before the prompt, as before every document in training; token ids that begin with it stay as they are.
    When the context is full, the last `context_length // 2` tokens are read again from position 0, and writing goes on
    with them as all there is. Text `i` depends on the seed and on `i`, not on how many others are written.
    Raises `ConfigError` where the prompt does not fit, or the model does not read from left to right.
    """
    tokens = _framed(model, tokenizer, prompt)
    check(Count, max_tokens, "max_tokens", "generate")
    check(Rows, n, "n", "generate")
    StopFilter(stop)  # refuses now, and not with the first piece
    check(Annotated[int, Range(0, 2**64 - 1)], seed, "seed", "generate")
    return chain.from_iterable(
        _write(
            _Reader(model, tokens, tokenizer.vocab_size),
            [_Writer(tokenizer, stop, row) for row in range(first, min(first + ROWS_AT_ONCE, n))],
            strategy,
            max_tokens,
            seed,
        )
        for first in range(0, n, ROWS_AT_ONCE)
    )


def complete(
    model: Transformer,
    tokenizer: Tokenizer,
    prompt: str | Sequence[int],
    strategy: Strategy,
    *,
    max_tokens: int,
    stop: Sequence[str] = (),
    seed: int = 0,
) -> Completion:
    """Continue `prompt` once and return the whole, which is what `generate` streams."""
    (completion,) = collect(
        generate(model, tokenizer, prompt, strategy, max_tokens=max_tokens, stop=stop, seed=seed), n=1
    )
    return completion


def collect(pieces: Iterator[Piece], n: int) -> list[Completion]:
    """Join the pieces of `n` rows."""
    rows: list[list[Piece]] = [[] for _ in range(n)]
    for piece in pieces:
        rows[piece.row].append(piece)
    return [_completion(row) for row in rows]


def _completion(pieces: Sequence[Piece]) -> Completion:
    reason = pieces[-1].finish_reason
    assert reason, "the pieces of a row end with its last"
    text = "".join(piece.text for piece in pieces)
    kept = pieces[:-1] if reason == "end" else pieces
    return Completion(text, tuple(piece.token for piece in kept), tuple(piece.logprob for piece in kept), reason)


def _framed(model: Transformer, tokenizer: Tokenizer, prompt: str | Sequence[int]) -> list[int]:
    """Return the tokens of the prompt behind END, or say why the model cannot continue them."""
    config = model.config
    if (config.attention, config.prediction_offset) != ("causal", 1):
        raise ConfigError(
            "this model reads both ways and cannot write from left to right",
            hint="use `textus fill` with it, or train with objective.name=causal",
        )
    tokens = tokenizer.encode(prompt) if isinstance(prompt, str) else [int(token) for token in prompt]
    known = min(config.vocab_size, tokenizer.vocab_size)
    if strange := [token for token in tokens if not 0 <= token < known]:
        raise ConfigError(
            f"the prompt holds token {strange[0]}; the model knows 0 to {known - 1}",
            hint="make the tokens with the model's own tokenizer",
        )
    if tokens[:1] != [tokenizer.end]:
        tokens = [tokenizer.end, *tokens]
    if len(tokens) > config.context_length:
        raise ConfigError(
            f"the prompt has {len(tokens)} tokens, END included; the model reads at most {config.context_length}",
            hint="shorten the prompt, or keep only its end",
        )
    return tokens


@torch.inference_mode()
def _step(
    reader: _Reader, strategy: Strategy, rows: Sequence[int], seed: int, position: int
) -> tuple[Int[Tensor, " batch"], list[float]]:
    """Choose each row's next token; return them with their log-probabilities."""
    # Switching a model's mode walks all its modules: not for every token, where it is right already.
    with evaluating(reader.model) if reader.model.training else nullcontext():
        logits = reader.logits()
    chosen = strategy.choose(logits, reader.history, seed=seed, position=position, rows=rows)
    at = chosen.to(logits.device)[:, None]
    return chosen, logits.log_softmax(-1).gather(1, at).squeeze(1).tolist()


def _write(
    reader: _Reader, writers: Sequence[_Writer], strategy: Strategy, max_tokens: int, seed: int
) -> Iterator[Piece]:
    rows = [writer.row for writer in writers]
    writing = {writer.row: writer for writer in writers}
    reader.split(len(writers))
    for position in range(max_tokens):
        chosen, logprobs = _step(reader, strategy, rows, seed, position)
        going = []
        for place, row in enumerate(rows):
            piece = writing[row].write(int(chosen[place]), logprobs[place], last=position == max_tokens - 1)
            if not piece.finish_reason:
                going.append(place)
            yield piece
        if not going:
            return
        rows = [rows[place] for place in going]
        reader.append(chosen, going)


class _Reader:
    """The model's view of rows of tokens that grow together: a cache, and a context that slides when it is full."""

    def __init__(self, model: Transformer, prompt: Sequence[int], vocab_size: int) -> None:
        self.model = model
        self._vocab_size = vocab_size
        self._device = model.embedding.weight.device
        self._tokens = torch.tensor([prompt], device=self._device)
        self._cache = model.new_cache(1)
        self._begin = 0
        self._copies = 1

    def split(self, copies: int) -> None:
        """Let the one row become several, once it has been read."""
        self._copies = copies

    @property
    def history(self) -> Int[Tensor, "batch time"]:
        """The text so far, without the END before it, which nobody wrote."""
        return self._tokens[:, 1:]

    def logits(self) -> Float[Tensor, "batch vocab"]:
        """Read what is new and return what may follow."""
        context = self.model.config.context_length
        if self._tokens.shape[1] - self._begin > context:
            self._begin = self._tokens.shape[1] - max(1, context // 2)
            self._cache.crop(0)
        unread = self._tokens[:, self._begin + self._cache.length :]
        logits: Tensor = self.model.head(self.model.encode(unread, cache=self._cache)[:, -1]).float()
        # Imported models may have more outputs than there are tokens, to fill up a matrix.
        logits = logits[:, : self._vocab_size]
        if self._copies > 1:
            same = torch.zeros(self._copies, dtype=torch.int64, device=self._device)
            logits, self._copies = self._keep(logits, same), 1
        return logits

    @torch.inference_mode()
    def append(self, tokens: Int[Tensor, " batch"], going: Sequence[int]) -> None:
        """Add each row's next token, and go on with the rows at these places."""
        if len(going) < len(tokens):
            rows = torch.tensor(going, device=self._device)
            tokens = self._keep(tokens.to(self._device), rows)
        self._tokens = torch.cat([self._tokens, tokens.to(self._device)[:, None]], dim=1)

    def _keep(self, values: Tensor, rows: Int[Tensor, " rows"]) -> Tensor:
        self._tokens = self._tokens.index_select(0, rows)
        self._cache.select(rows)
        return values.index_select(0, rows)


class _Writer:
    """One row's way from tokens to text: whole characters only, and nothing of a stop string."""

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str], row: int) -> None:
        self._end = tokenizer.end
        self._stream = tokenizer.stream()
        self._stop = StopFilter(stop)
        self.row = row

    def write(self, token: int, logprob: float, *, last: bool) -> Piece:
        """Take the next token and say what text is certain now."""
        reason: FinishReason | Literal[""] = "end" if token == self._end else "length" if last else ""
        text = "" if token == self._end else self._stop.push(self._stream.push(token))
        if reason:
            text += self._stop.push(self._stream.flush()) + ("" if self._stop.stopped else self._stop.flush())
        return Piece(text, token, logprob, self.row, "stop" if self._stop.stopped else reason)
