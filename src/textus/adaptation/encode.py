"""Texts and words to the tokens that a model with a head reads, as transformers' tokenizer makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from textus.errors import InputError
from textus.tokenizer.tokenizer import Tokenizer

Reading = Literal["causal", "bidirectional"]


def text_tokens(tokenizer: Tokenizer, text: str, pair: str | None = None) -> list[int]:
    """Return END and the text, and behind it END and the second text, where there is one."""
    first = [tokenizer.end, *tokenizer.encode(text)]
    return first if pair is None else [*first, tokenizer.end, *tokenizer.encode(pair)]


def word_tokens(tokenizer: Tokenizer, words: Sequence[str], reading: Reading) -> tuple[list[int], list[int]]:
    """Return END and the words, a space before each but the first, and at which token each word is asked for.

    That is its first token; where that is only the space, as before a number, the one after it. A model that reads from
    left to right is asked at the last token, where it has seen the word.
    """
    tokens, asked = [tokenizer.end], []
    for number, word in enumerate(words):
        found = tokenizer.encode(f" {word}" if number else word)
        first = int(len(found) > 1 and not tokenizer.token_bytes(found[0]).strip())
        asked.append(len(tokens) + (len(found) - 1 if reading == "causal" else first))
        tokens += found
    return tokens, asked


def fitting(
    tokens: list[int], context: int, place: str, too_long: Literal["refuse", "cut"], hint: str = ""
) -> list[int]:
    """Return what the model can read at once; raise `InputError` naming `place` where that is not all."""
    if len(tokens) <= context:
        return tokens
    if too_long == "cut":
        return tokens[:context]
    raise InputError(
        f"{place}: {len(tokens)} tokens, the one before it included; the model reads at most {context}",
        hint=hint or "shorten it, or set data.too_long=cut to read only its beginning",
    )
