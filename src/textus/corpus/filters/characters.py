"""Measures of single characters: what a text is written with, and whether it is writing at all."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np

from textus.corpus.batch import DIGIT, LETTER, MARK, SIGN, SPACE, UPPER, Index, TextBatch
from textus.corpus.filters.feature import CODE, OURS, Column, Feature, Mask, count_at, count_true, per

FEATURES = (
    Feature("characters", "characters of the text", OURS, "count", "few characters", "many characters"),
    Feature("letters", "letters and marks among the characters that are not white space", CODE, "share",
            "few letters", "many letters"),
    Feature("digits", "digits among the characters that are not white space", OURS, "share", "few digits", "digits"),
    Feature("symbols", "punctuation and symbols among the characters that are not white space", OURS, "share",
            "few symbols", "symbols"),
    Feature("white_space", "white space among the characters", OURS, "share", "little white space", "white space"),
    Feature("uppercase", "upper case among the letters", OURS, "share", "few capitals", "capitals"),
    Feature("unprintable", "control characters other than white space, unassigned and private code points and lone "
            "surrogates among the characters", OURS, "share", "", "unprintable characters"),
    Feature("invisible", "soft hyphens, zero-width spaces, byte order marks and marks of direction among the "
            "characters", OURS, "share", "", "invisible characters"),
    Feature("replaced", "U+FFFD, which stands for what could not be decoded, among the characters", OURS, "share",
            "", "undecodable characters"),
    Feature("mojibake", "pairs such as Ã© and â€, which UTF-8 becomes when it is read as Latin-1, for each character",
            OURS, "ratio", "", "wrong decoding"),
    Feature("letter_pairs", "how much more often than by chance two pairs of neighbouring letters a-z, whatever their "
            "case, are the same: 676 sum n(n-1) / N(N-1) over the counts n of each of N pairs; English about 5, "
            "random letters 1; NaN under 100 pairs", "index of coincidence (Friedman 1922)", "ratio",
            "random letters", "few kinds of letters"),
)  # fmt: skip
_FEWEST_PAIRS = 100
_NO_LETTER, _PAIRS, _LATIN = 26, 27 * 27, 0xFF
_LETTER = bytes((code | 0x20) - ord("a") if chr(code).isascii() and chr(code).isalpha() else 26 for code in range(256))
"""0 to 25 for a-z and A-Z."""
_INVISIBLE = frozenset({0xAD, 0x200B, 0x200E, 0x200F, 0xFEFF, *range(0x202A, 0x202F), *range(0x2060, 0x2065)})
# What the second byte of two looks like in Latin-1 and, from 0x80 to 0x9F, in Windows-1252.
_SECOND = (*range(0x80, 0xC0), *map(ord, "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"))
_FIRST = np.array([ord(character) for character in "ÂÃÐÑ"], np.uint32)


def measure(batch: TextBatch) -> dict[str, Column]:
    """Measure the characters of each text."""
    characters, number = np.diff(batch.starts) - 1, _numbers(batch)
    spaces, letters = number(SPACE) - 1, number(LETTER)  # behind every text there is a line break
    solid = characters - spaces
    unprintable, invisible = _hidden(batch)
    return {
        "characters": characters,
        "letters": per(letters + number(MARK), solid),
        "digits": per(number(DIGIT), solid),
        "symbols": per(number(SIGN), solid),
        "white_space": per(spaces, characters),
        "uppercase": per(number(UPPER), letters),
        "unprintable": per(count_at(unprintable, batch.starts), characters),
        "invisible": per(count_at(invisible, batch.starts), characters),
        "replaced": per(count_at(np.flatnonzero(batch.codes == 0xFFFD), batch.starts), characters),
        "mojibake": per(count_at(_mojibake(batch), batch.starts), characters),
        "letter_pairs": _letter_pairs(batch),
    }


def _numbers(batch: TextBatch) -> Callable[[np.uint8], Index]:
    """Return a function that says how many characters of each text have a flag."""
    return lambda flag: count_true((batch.classes & flag) != 0, batch.starts)


def _hidden(batch: TextBatch) -> tuple[Index, Index]:
    """Find the unprintable and the invisible characters: both are of no class."""
    places = np.flatnonzero(batch.classes == 0)
    codes, kinds = np.unique(batch.codes[places], return_inverse=True)
    invisible = np.array([code in _INVISIBLE for code in codes.tolist()], bool)
    unprintable = np.array([unicodedata.category(chr(code)) != "Cf" for code in codes.tolist()], bool)
    return places[unprintable[kinds]], places[invisible[kinds]]


def _mojibake(batch: TextBatch) -> Index:
    foreign = np.flatnonzero(batch.codes >= 0xC2)
    first, second = batch.codes[foreign], batch.codes[foreign + 1]  # a line break is behind the last
    two = np.isin(first, _FIRST) & np.isin(second, _SECOND)
    three = (first == ord("â")) & ((second == ord("€")) | (second == 0x80))
    found: Mask = two | three
    return foreign[found]


def _letter_pairs(batch: TextBatch) -> Column:
    lengths = np.diff(batch.starts)
    enough = lengths > _FEWEST_PAIRS  # of others, which may be many, there is nothing to count
    codes = batch.codes if enough.all() else batch.codes[np.repeat(enough, lengths)]
    texts, lengths = np.flatnonzero(enough), lengths[enough]
    # Bytes are looked up some times faster than numbers; what is beyond Latin-1 is no letter of these.
    letters = np.frombuffer(bytearray(codes.astype(np.uint8)).translate(_LETTER), np.uint8)
    letters[codes > _LATIN] = _NO_LETTER
    kinds = np.repeat(np.arange(len(texts), dtype=np.int32) * np.int32(_PAIRS), lengths)
    pairs = letters.astype(np.uint16) * np.uint16(_NO_LETTER + 1)
    pairs[:-1] += letters[1:]
    kinds += pairs
    counts = np.bincount(kinds[:-1], minlength=len(texts) * _PAIRS).reshape(-1, _PAIRS)
    by_letters = counts.reshape(-1, _NO_LETTER + 1, _NO_LETTER + 1)
    by_letters[:, _NO_LETTER] = by_letters[:, :, _NO_LETTER] = 0
    numbers = counts.sum(1)
    same = np.einsum("ij,ij->i", counts, counts) - numbers
    enough = numbers >= _FEWEST_PAIRS
    texts, numbers, same = texts[enough], numbers[enough], same[enough]
    found = np.full(len(batch), np.nan, np.float32)
    found[texts] = 676 * same / (numbers * (numbers - 1.0))
    return found
