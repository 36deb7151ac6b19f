"""Write text with a causal model, one token at a time, streamed as it comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Annotated, Any, Literal

import torch

from textus.config import Count, Natural, Range, check
from textus.decoding.piece import Completion, LogprobsMode, Piece, collect
from textus.decoding.prompt import Cut, framed
from textus.decoding.reader import Reader
from textus.decoding.sampler import Places
from textus.decoding.speculative import Draft, write_ahead
from textus.decoding.step import Telling, choose
from textus.decoding.stop import StopFilter
from textus.decoding.strategy import Strategy
from textus.decoding.writer import Ending, Writer
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import Tokenizer

ROWS_AT_ONCE = 64
"""So many texts are written side by side; more are written in turns, in bounded memory."""
Rows = Annotated[int, Range(1, 2**20)]


def generate(
    model: Transformer,
    tokenizer: Tokenizer,
    prompt: str | Sequence[int],
    strategy: Strategy,
    *,
    max_tokens: int,
    stop: Sequence[str] = (),
    stop_tokens: Sequence[int] = (),
    stop_loops: int | Literal["off"] = "off",
    seed: int = 0,
    n: int = 1,
    cut: Cut = "refuse",
    logprobs: LogprobsMode = "raw",
    alternatives: int = 0,
    draft: Draft | None = None,
    bare: bool = False,
) -> Iterator[Piece]:
    """Continue `prompt` `n` times and yield each token as it is drawn, `ROWS_AT_ONCE` texts side by side.

    END goes before the prompt, as before every document in training; token ids that begin with it stay as they are,
    and with `bare` all of them.
    When the context is full, the last `context_length // 2` tokens are read again from position 0, and writing goes on
    with them as all there is. Text `i` depends on the seed and on `i`, not on how many others are written. A `draft`
    makes writing faster, one text after another, and changes no token.
    Raises `ConfigError` where the prompt does not fit, or the model does not read from left to right.
    """
    tokens = framed(model, tokenizer, prompt, cut, bare=bare)
    check(Count, max_tokens, "max_tokens", "generate")
    check(Rows, n, "n", "generate")
    StopFilter(stop)  # refuses now, and not with the first piece
    check(Annotated[int, Range(0, 2**64 - 1)], seed, "seed", "generate")
    check(Annotated[int, Range(2)] | Literal["off"], stop_loops, "stop_loops", "generate")
    check(Natural, alternatives, "alternatives", "generate")
    ending = Ending(max_tokens, stop, frozenset(stop_tokens), stop_loops)
    telling = Telling(logprobs, alternatives)

    def new_reader() -> Reader:
        return Reader(model, tokens, tokenizer.vocab_size)

    if draft is not None:
        draft.begin(model, tokenizer)
        return chain.from_iterable(
            write_ahead(new_reader(), Writer(tokenizer, ending, row), strategy, draft, seed, telling)
            for row in range(n)
        )
    return chain.from_iterable(
        _write(
            new_reader(),
            [Writer(tokenizer, ending, row) for row in range(first, min(first + ROWS_AT_ONCE, n))],
            strategy,
            seed,
            telling,
        )
        for first in range(0, n, ROWS_AT_ONCE)
    )


def complete(
    model: Transformer, tokenizer: Tokenizer, prompt: str | Sequence[int], strategy: Strategy, **options: Any
) -> Completion:
    """Continue `prompt` once and return the whole, which is what `generate` streams; it takes the same `options`."""
    (completion,) = collect(
        generate(model, tokenizer, prompt, strategy, **options), n=1, logprobs_mode=options.get("logprobs", "raw")
    )
    return completion


def _write(
    reader: Reader, writers: Sequence[Writer], strategy: Strategy, seed: int, telling: Telling
) -> Iterator[Piece]:
    rows = list(writers)
    reader.split(len(writers))
    while rows:
        places = Places.of(seed, [writer.row for writer in rows], rows[0].count, reader.device)
        logits = reader.logits()
        chosen = choose(strategy, logits, reader.history, places, telling)
        going = []
        for place, writer in enumerate(rows):
            piece = writer.write(*chosen.at(place))
            if not piece.finish_reason:
                going.append(place)
            yield piece
        rows = [rows[place] for place in going]
        if rows:
            reader.append(torch.tensor(chosen.tokens), going)


__all__ = ["Completion", "Piece", "collect", "complete", "generate"]
