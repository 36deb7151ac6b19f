"""The library `tokenizers` as an encoder of words and of texts, and what keeps a text from becoming special tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as Engine

from textus.tokenizer.alphabet import to_characters

Tokens = npt.NDArray[np.uint32]
Encode = Callable[[Sequence[str]], Sequence[Tokens]]
"""Texts to the tokens of each, special ones never among them."""


def lists(engine: Engine) -> Callable[[Sequence[str]], list[list[int]]]:
    """Return a function from texts to lists of tokens, on all cores."""

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return [found.ids for found in engine.encode_batch_fast(list(texts), add_special_tokens=False)]

    return encode


def by_word(engine: Engine) -> Callable[[Sequence[str]], list[list[int]]]:
    """Return a function from single words, as our own split makes them, to their tokens: straight to the merges."""
    model = engine.model

    def encode(words: Sequence[str]) -> list[list[int]]:
        return [[token.id for token in model.tokenize(to_characters(word.encode()))] for word in words]

    return encode


def whole(engine: Engine) -> Encode:
    """Return the engine itself as an encoder."""
    encode = lists(engine)
    return lambda texts: [np.array(tokens, np.uint32) for tokens in encode(texts)]


def guarded(engine: Engine, special: Mapping[int, str]) -> Encode:
    """Return the engine as an encoder that makes no special token of a text in which its name is written.

    Most engines do that by themselves. Some vocabularies hold the names as ordinary entries too (`</s>` in a Unigram):
    there a text is cut behind the first character of such a name, and its parts are encoded apart.
    """
    encode = whole(engine)
    leaking = [name for name in special.values() if len(name) > 1 and {*special} & {*encode([name])[0].tolist()}]
    if not leaking:
        return encode
    cut = re.compile("|".join(f"(?<={re.escape(name[0])})(?={re.escape(name[1:])})" for name in leaking))

    def safely(texts: Sequence[str]) -> list[Tokens]:
        return [np.concatenate(encode(cut.split(text))) for text in texts]

    return safely
