"""Write text with a causal model, one token at a time, streamed as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Annotated, Any, Literal

from textus.config import Count, Natural, Range, check
from textus.decoding.engine.batch import write_all
from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine, Handle
from textus.decoding.piece import Completion, LogprobsMode, Piece, collect
from textus.decoding.prompt import Cut, framed
from textus.decoding.reader import Reader
from textus.decoding.speculative import Draft, Ngrams, write_ahead
from textus.decoding.step import Telling
from textus.decoding.stop import StopFilter
from textus.decoding.strategy import Strategy
from textus.decoding.writer import Ending, Writer
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import Tokenizer

ROWS_AT_ONCE = 64
"""So many texts are written side by side; more are written in turns, in bounded memory."""
LOOKED_UP_AT_ONCE = 4
"""As many with tokens that are looked up: each has several lines in a pass."""
MOST_BYTES = 2**30
"""No more memory is reserved for keys and values, unless one context needs more: texts wait for each other then."""
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
    engine: Engine | None = None,
) -> Iterator[Piece]:
    """Continue `prompt` `n` times and yield each token as it is drawn, `ROWS_AT_ONCE` texts side by side.

    END goes before the prompt, as before every document in training; token ids that begin with it stay as they are,
    and with `bare` all of them.
    When the context is full, the last `context_length // 2` tokens are read again from position 0, and writing goes on
    with them as all there is. Text `i` depends on the seed and on `i`, not on how many others are written. A `draft`
    makes writing faster, one text after another, and changes no token. An `engine` of the same model that is used again
    knows what it has read before.
    Raises `ConfigError` where the prompt does not fit, or the model does not read from left to right.
    """
    tokens = framed(model, tokenizer, prompt, cut, bare=bare)
    ending = checked(max_tokens, stop, stop_tokens, stop_loops, seed, n, alternatives)
    telling = Telling(logprobs, alternatives)

    def begin(used: Engine, guesses: int, row: int) -> Callable[[], Handle]:
        return lambda: used.submit(tokens, strategy, ending, seed=seed, row=row, telling=telling, guesses=guesses)

    if draft is not None:
        draft.begin(model, tokenizer)
        if isinstance(draft, Ngrams) and model.embedding.weight.is_cuda:
            rows = min(n, LOOKED_UP_AT_ONCE)
            used = engine or Engine(model, tokenizer, fitting(model, rows, len(tokens) + max_tokens))
            if used.looks_up(strategy, telling):
                return (piece for _, piece in write_all(used, map(partial(begin, used, draft.count), range(n)), rows))

        def ahead(row: int) -> Iterator[Piece]:
            reader, writer = Reader(model, tokens, tokenizer.vocab_size), Writer(tokenizer, ending, row)
            return write_ahead(reader, writer, strategy, draft, seed, telling)

        return chain.from_iterable(map(ahead, range(n)))
    rows = min(n, ROWS_AT_ONCE)
    used = engine or Engine(model, tokenizer, fitting(model, rows, len(tokens) + max_tokens))
    return (piece for _, piece in write_all(used, map(partial(begin, used, 0), range(n)), rows))


def generate_each(
    engine: Engine,
    prompts: Iterable[Sequence[int]],
    strategy: Strategy,
    ending: Ending,
    *,
    n: int = 1,
    seed: int = 0,
    telling: Telling | None = None,
) -> Iterator[tuple[int, Piece]]:
    """Continue every prompt `n` times, each begun as soon as there is room; yield pieces with their prompt's number.

    The prompts are tokens as `framed` returns them. Each has the same texts that `generate` writes for it.
    """

    def begins() -> Iterator[Callable[[], Handle]]:
        for tokens in prompts:
            for row in range(n):
                yield partial(engine.submit, tokens, strategy, ending, seed=seed, row=row, telling=telling)

    # some more than are written: who comes next waits in the engine's queue, where it may find what others read
    at_once = 2 * engine.config.batch_size
    return ((number // n, piece) for number, piece in write_all(engine, begins(), at_once))


def checked(
    max_tokens: int,
    stop: Sequence[str],
    stop_tokens: Sequence[int],
    stop_loops: int | Literal["off"],
    seed: int,
    n: int,
    alternatives: int = 0,
) -> Ending:
    """Return when a text ends, or say which number is out of range."""
    check(Count, max_tokens, "max_tokens", "generate")
    check(Rows, n, "n", "generate")
    StopFilter(stop)  # refuses now, and not with the first piece
    check(Annotated[int, Range(0, 2**64 - 1)], seed, "seed", "generate")
    check(Annotated[int, Range(2)] | Literal["off"], stop_loops, "stop_loops", "generate")
    check(Natural, alternatives, "alternatives", "generate")
    return Ending(max_tokens, stop, frozenset(stop_tokens), stop_loops)


def fitting(model: Transformer, rows: int, length: int, fixed_batch: int | Literal["off"] = "off") -> EngineConfig:
    """Return the settings of an engine for so many texts of such a length at once, in bounded memory."""
    config, default = model.config, EngineConfig()
    bytes_per_token = 2 * config.num_layers * config.num_kv_heads * config.head_size * model.embedding.weight.itemsize
    blocks = -(-min(length, config.context_length) // default.block_size)
    tokens = min(rows * blocks * default.block_size, MOST_BYTES // bytes_per_token)
    return EngineConfig(batch_size=rows, cache_tokens=max(tokens, 1), fixed_batch=fixed_batch)


def complete(
    model: Transformer, tokenizer: Tokenizer, prompt: str | Sequence[int], strategy: Strategy, **options: Any
) -> Completion:
    """Continue `prompt` once and return the whole, which is what `generate` streams; it takes the same `options`."""
    (completion,) = collect(
        generate(model, tokenizer, prompt, strategy, **options), n=1, logprobs_mode=options.get("logprobs", "raw")
    )
    return completion


__all__ = ["Completion", "Piece", "collect", "complete", "generate"]
