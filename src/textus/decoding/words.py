"""Tokens that a user names: by id, by the name of a special token, or by text."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from textus.errors import ConfigError
from textus.tokenizer.tokenizer import Tokenizer

BREAKERS = (b"\n", b":", b'"', b"*")
"""What no repetition reaches across, for DRY: text is built of lines and turns, and those may be alike."""


def token_of(tokenizer: Tokenizer, word: str, setting: str) -> int:
    """Return the token that `word` names: its id, its name if it is special, or text that is a single token."""
    special = {tokenizer.token_bytes(token).decode(): token for token in tokenizer.special | {tokenizer.end}}
    if word in special:
        return special[word]
    if word.isascii() and word.isdecimal():
        if int(word) >= tokenizer.vocab_size:
            raise ConfigError(
                f"{setting}: no token {word}", hint=f"the model knows tokens 0 to {tokenizer.vocab_size - 1}"
            )
        return int(word)
    tokens = tokenizer.encode(word)
    if len(tokens) != 1:
        close = difflib.get_close_matches(word, special, n=1)
        hint = f"did you mean {close[0]}?" if close else "give an id or a text that is one token"
        if setting == "stop_tokens" and not close:
            hint = f"special tokens here: {', '.join(sorted(special))}; for text use `stop`"
        raise ConfigError(f"{setting}: {word!r} is {len(tokens)} tokens, not one", hint=hint)
    return tokens[0]


def stop_tokens(tokenizer: Tokenizer, words: Sequence[str]) -> tuple[int, ...]:
    """Return the tokens at which writing ends, besides END."""
    return tuple(dict.fromkeys(token_of(tokenizer, word, "stop_tokens") for word in words))


def biases(tokenizer: Tokenizer, items: Sequence[str]) -> dict[int, float]:
    """Read TOKEN:BIAS; the last colon divides.

    Raises `ConfigError` for a token that is named twice or a bias that is no finite number.
    """
    found: dict[int, float] = {}
    for item in items:
        word, colon, bias = item.rpartition(":")
        try:
            value = float(bias)
        except ValueError:
            value = float("nan")
        if not colon or not word or not abs(value) < float("inf"):
            raise ConfigError(f"logit_bias: {item!r} is not TOKEN:BIAS", hint='as in logit_bias=["262:-5"]')
        token = token_of(tokenizer, word, "logit_bias")
        if token in found:
            raise ConfigError(f"logit_bias: {word!r} is named twice", hint="give each token one bias")
        found[token] = value
    return found


def spellings(tokenizer: Tokenizer, words: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Return the runs of tokens that usually spell these words, with and without a space before them."""
    if not all(words):
        raise ConfigError("bad_words: one of them is empty", hint="leave it out")
    texts = (text for word in words for text in dict.fromkeys((word, f" {word.lstrip(' ')}")))
    return tuple(dict.fromkeys(tuple(tokenizer.encode(text)) for text in texts))


def spared(tokenizer: Tokenizer, stop: Sequence[str], stop_words: Sequence[str]) -> tuple[int, ...]:
    """Return the tokens that penalties leave alone: special ones, stop tokens, and those that spell a stop string."""
    spelt = (token for text in stop for token in tokenizer.encode(text))
    return tuple(sorted({tokenizer.end, *tokenizer.special, *stop_tokens(tokenizer, stop_words), *spelt}))


def breakers(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the tokens that hold one of `BREAKERS`, and the special ones."""
    holding = (
        token for token in range(tokenizer.vocab_size) if any(mark in tokenizer.token_bytes(token) for mark in BREAKERS)
    )
    return tuple(sorted({tokenizer.end, *tokenizer.special, *holding}))
