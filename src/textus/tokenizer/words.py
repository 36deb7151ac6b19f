"""Encode common text by looking words up: the same tokens as the engine's, at some ten times its speed on one core.

A word's tokens never depend on its neighbours, and most words were seen before. Python's `re` can find the words as
long as every character is one whose class it agrees on with the engine; other text is the engine's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from textus.tokenizer.pieces import pieces

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How text is cut into words before merging, as Llama 3 does it to the letter: llama.cpp knows it as `llama-bpe`."""

_LETTER, _SPACE = r"a-zA-Z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff", r"\t\n\x0b\x0c\r "
_PLAIN = re.compile(
    r"[\x00-\x7f\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff\u2010-\u2026\u20ac\u00a3\u00a7\u00a9\u00ae\u00b0]*"
)
"""ASCII, the letters of Latin-1, and dashes, quotation marks and signs: no other letter, number or space."""
_WORD = re.compile(
    rf"'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n{_LETTER}0-9]?[{_LETTER}]+|[0-9]{{1,3}}"
    rf"| ?[^{_SPACE}{_LETTER}0-9]+[\r\n]*|[{_SPACE}]*[\r\n]+|[{_SPACE}]+(?![^{_SPACE}])|[{_SPACE}]+"
)
"""`SPLIT` for plain text."""

_SMALL_PIECE = 512
"""Characters: one rare sign in a long text leaves all but this much of it to the fast way."""
_LONGEST_WORD = 64
_MOST_WORDS = 1 << 18
"""Words remembered, at some 200 bytes each, before forgetting them all."""

Tokens = Sequence[int]


class WordEncoder:
    """Give the tokens of plain text word by word, asking `encode_word` for words not met before."""

    def __init__(self, encode_word: Callable[[str], Tokens]) -> None:
        self._known = _Known(encode_word)

    def encode(self, text: str) -> Iterator[int]:
        """Yield the tokens of `text`, which must be plain."""
        return chain.from_iterable(map(self._known.__getitem__, _WORD.findall(text)))


def is_plain(text: str) -> bool:
    """Tell whether a text is ASCII, Latin-1 letters and common signs, so that its words can be looked up.

    >>> is_plain("Ça coûte 3 €"), is_plain("½ мир")
    (True, False)
    """
    return text.isascii() or _PLAIN.fullmatch(text) is not None


def plain_runs(text: str) -> Iterator[tuple[str, bool]]:
    """Cut `text` into pieces that can be encoded apart, each with whether it is plain."""
    for piece in pieces(text):
        if is_plain(piece):
            yield piece, True
        else:
            yield from ((small, is_plain(small)) for small in pieces(piece, _SMALL_PIECE))


class _Known(dict[str, Tokens]):
    """The words met so far."""

    def __init__(self, encode_word: Callable[[str], Tokens]) -> None:
        super().__init__()
        self._encode_word = encode_word

    def __missing__(self, word: str) -> Tokens:
        tokens = self._encode_word(word)
        if len(word) <= _LONGEST_WORD:
            if len(self) >= _MOST_WORDS:
                self.clear()
            self[word] = tokens
        return tokens
