"""Cut text into words as the engine does, and encode it by looking words up: the engine's tokens, several times faster.

A word's tokens never depend on its neighbours, and most words were seen before. Python's `re` finds the words: which
characters are letters, numbers and spaces, it is told by the engine itself, so that two versions of Unicode cannot
disagree.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, normalizers

from textus.tokenizer.pieces import pieces

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How text is cut into words before merging, as Llama 3 does it to the letter: llama.cpp knows it as `llama-bpe`."""

_PLANES = 0x40000
"""No character from here on is a letter, a number or a space."""
_BASIC = 0x10000
_GAP = 0x800
_SMALL_PIECE = 512
"""Characters: a rare letter in a long text leaves all but this much of it to the fast pattern."""
_LONGEST_WORD = 64
_MOST_WORDS = 1 << 18
"""Words remembered, at some 200 bytes each, before forgetting them all."""

Encode = Callable[[list[str]], Sequence[Sequence[int]]]


def words(text: str) -> Iterator[list[str]]:
    """Yield the words of `text`, which must hold no lone surrogates, in lists of bounded size.

    >>> [word for part in words("It's 1234 km, à peu près") for word in part]
    ['It', "'s", ' ', '123', '4', ' km', ',', ' à', ' peu', ' près']
    """
    for piece in pieces(text):
        if piece.isascii():
            yield _ascii().findall(piece)
        elif _is_basic(piece):
            yield _basic().findall(piece)
        else:
            for small in pieces(piece, _SMALL_PIECE):
                yield (_basic() if _is_basic(small) else _whole()).findall(small)


class WordEncoder:
    """Encode text word by word, asking `encode_words` for the words that were not met before."""

    def __init__(self, encode_words: Encode) -> None:
        self._encode_words = encode_words
        self._known: dict[str, bytes] = {}

    def encode_batch(self, texts: Sequence[str]) -> list[npt.NDArray[np.uint32]]:
        """Return the tokens of each text; all of them together should be of bounded size."""
        found = [[word for part in words(text) for word in part] for text in texts]
        encoded = iter(self._look_up([word for part in found for word in part]))
        return [np.frombuffer(b"".join(islice(encoded, len(part))), np.uint32) for part in found]

    def _look_up(self, found: list[str]) -> list[bytes]:
        tokens = list(map(self._known.get, found))
        if None in tokens:
            unknown = [*{word for word, known in zip(found, tokens, strict=True) if known is None}]
            for word, new in zip(unknown, self._encode_words(unknown), strict=True):
                self._known[word] = array("I", new).tobytes()
            tokens = list(map(self._known.__getitem__, found))
            for word in unknown:
                if len(word) > _LONGEST_WORD:  # it would take the room of many, and hardly come again
                    del self._known[word]
            if len(self._known) > _MOST_WORDS:
                self._known.clear()
        return tokens  # type: ignore[return-value]  # there is no None among them now


def class_borders() -> list[str]:
    """Return the first and last character of every run of letters, numbers and spaces, and those just outside."""
    codes = {
        code
        for found in _classes()
        for low, high in found
        for code in (low - 1, low, high, high + 1)
        if code >= 0 and not 0xD800 <= code < 0xE000
    }
    return [chr(code) for code in sorted(codes)]


def _is_basic(text: str) -> bool:
    """Tell whether every letter, number and space of a text is below U+10000."""
    return len(text.encode("utf-16-le")) == 2 * len(text) or not _beyond().search(text)


def _pattern(letter: str, number: str, space: str) -> re.Pattern[str]:
    """Write `SPLIT` for Python, with these as the insides of its classes of characters."""
    return re.compile(
        rf"'(?:[sStTmMdD\u017f]|[rR][eE]|[vV][eE]|[lL][lL])|[^\r\n{letter}{number}]?[{letter}]+|[{number}]{{1,3}}"
        rf"| ?[^{space}{letter}{number}]+[\r\n]*|[{space}]*[\r\n]+|[{space}]+(?![^{space}])|[{space}]+"
    )


@cache
def _ascii() -> re.Pattern[str]:
    return _pattern("a-zA-Z", "0-9", r"\t-\r ")


@cache
def _basic() -> re.Pattern[str]:
    """Make the pattern for text whose characters above U+FFFF are signs: there the classes are short, and fast."""
    return _pattern(*(_insides([run for run in found if run[1] < _BASIC]) for found in _classes()))


@cache
def _whole() -> re.Pattern[str]:
    return _pattern(*map(_insides, _classes()))


@cache
def _beyond() -> re.Pattern[str]:
    """Make a pattern that finds every letter, number and space above U+FFFF, and a few signs among them."""
    hulls: list[tuple[int, int]] = []
    for low, high in sorted(run for found in _classes() for run in found if run[0] >= _BASIC):
        if hulls and low - hulls[-1][1] < _GAP:
            hulls[-1] = (hulls[-1][0], high)
        else:
            hulls.append((low, high))
    return re.compile(f"[{_insides(hulls)}]")


@cache
def _classes() -> tuple[list[tuple[int, int]], ...]:
    """Ask the engine which characters are letters, numbers and spaces; return each as runs, first and last."""
    every = "".join(map(chr, range(0xD800))) + "".join(map(chr, range(0xE000, _PLANES)))
    return tuple(_runs(every, normalizers.Replace(Regex(f"{name}+"), "")) for name in (r"\p{L}", r"\p{N}", r"\s"))


def _runs(every: str, without: normalizers.Normalizer) -> list[tuple[int, int]]:
    rest = without.normalize_str(every)
    codes = np.setdiff1d(_codes(every), _codes(rest), assume_unique=True)
    ends = np.flatnonzero(np.diff(codes) != 1)
    firsts, lasts = codes[np.append(0, ends + 1)], codes[np.append(ends, len(codes) - 1)]
    # No run crosses from the basic plane into the next: U+FFFE and U+FFFF are no characters.
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def _codes(text: str) -> npt.NDArray[np.int64]:
    return np.frombuffer(text.encode("utf-32-le"), "<u4").astype(np.int64)


def _insides(runs: Iterable[tuple[int, int]]) -> str:
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in runs)
