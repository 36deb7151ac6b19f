"""Measures of words: how many, how long, and which."""

from __future__ import annotations

from functools import cache

import numpy as np

from textus.corpus.batch import LETTER, SPACE, Hashes, Index, TextBatch
from textus.corpus.filters.feature import (
    C4,
    FINEWEB,
    GOPHER,
    OURS,
    Column,
    Feature,
    Mask,
    any_of,
    count_at,
    per,
    runs_at,
    signs,
    total,
)

FEATURES = (
    Feature("words", "runs of letters, digits and marks, and single letters of scripts without spaces", GOPHER,
            "count", "few words", "many words"),
    Feature("mean_word_length", "characters for each word", GOPHER, "ratio", "short words", "long words"),
    Feature("alphabetic_words", "words with a letter among the words", GOPHER, "share", "words without letters",
            "few numbers"),
    Feature("stop_words", "how many of the, be, to, of, and, that, have, with occur", GOPHER, "count",
            "few stop words", "stop words"),
    Feature("hashes_per_word", "number signs (#) for each word", GOPHER, "ratio", "", "number signs"),
    Feature("ellipses_per_word", "ellipses (… or three dots and more) for each word", GOPHER, "ratio", "", "ellipses"),
    Feature("sentences", "places where . ! or ? stands before white space, a closing mark or the end", C4, "count",
            "few sentences", "many sentences"),
    Feature("lorem_ipsum", "occurrences of lorem ipsum", C4, "count", "", "lorem ipsum"),
    Feature("placeholder_words", "lorem, ipsum, dolor, amet, consectetur, adipiscing, elit and eiusmod among the words",
            OURS, "share", "", "placeholder text"),
    Feature("breaks_per_word", "line breaks for each word", FINEWEB, "ratio", "few line breaks", "lists"),
)  # fmt: skip
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
PLACEHOLDERS = ("lorem", "ipsum", "dolor", "amet", "consectetur", "adipiscing", "elit", "eiusmod")
_REST = np.uint64(48)
SENTENCE_ENDS, CLOSING = ".!?。！？", "\"'”’»)]」』）"


def measure(batch: TextBatch) -> dict[str, Column]:
    """Measure the words of each text."""
    words, numbers = batch.words, batch.words.counts
    stop_words, placeholders = np.zeros((2, len(batch)), np.int64)
    some = beginnings(batch, STOP_WORDS + PLACEHOLDERS)
    for word in STOP_WORDS:
        stop_words += count_at(phrase(batch, word, some), words.offsets) > 0
    for word in PLACEHOLDERS:
        placeholders += count_at(phrase(batch, word, some), words.offsets)
    return {
        "words": numbers,
        "mean_word_length": per(total(words.lengths, words.offsets), numbers),
        "alphabetic_words": per(total(_alphabetic(batch), words.offsets), numbers),
        "stop_words": stop_words,
        "hashes_per_word": per(count_at(signs(batch, "#"), batch.starts), numbers),
        "ellipses_per_word": per(count_at(_ellipses(batch), batch.starts), numbers),
        "sentences": count_at(_sentence_ends(batch), batch.starts),
        "lorem_ipsum": count_at(phrase(batch, "lorem ipsum", some), words.offsets),
        "placeholder_words": per(placeholders, numbers),
        "breaks_per_word": per(batch.lines.counts - 1, numbers),
    }


def beginnings(batch: TextBatch, phrases: tuple[str, ...]) -> Index:
    """Find the words with which one of some phrases may begin: few, and only these need be compared with each."""
    may_begin: Mask = np.take(_beginnings(phrases), (batch.word_hashes >> _REST).astype(np.uint16))
    return np.flatnonzero(may_begin)


@cache
def _beginnings(phrases: tuple[str, ...]) -> Mask:
    """Mark the first bits of the hashes of first words."""
    marks = np.zeros(1 << 16, bool)
    marks[[int(_hashes_of(text)[0] >> _REST) for text in phrases]] = True
    return marks


def phrase(batch: TextBatch, text: str, places: Index) -> Index:
    """Find those of some words at which a phrase begins, whatever its case and what stands between its words."""
    first, *others = _hashes_of(text).tolist()
    found: Index = places[batch.word_hashes[places] == np.uint64(first)]
    for step, value in enumerate(others, 1):
        found = found[found + step < len(batch.words)]
        found = found[batch.word_hashes[found + step] == np.uint64(value)]
    if others and len(found):
        owners = np.searchsorted(batch.words.offsets, found, "right")
        found = found[found + len(others) < batch.words.offsets[owners]]
    return found


@cache
def _hashes_of(text: str) -> Hashes:
    return TextBatch([text]).word_hashes


def _alphabetic(batch: TextBatch) -> Mask:
    """Tell which words have a letter; most begin with one."""
    has_letter: Mask = (batch.classes[batch.words.starts] & LETTER) != 0
    others = np.flatnonzero(~has_letter)
    if len(others):
        edges = np.stack([batch.words.starts[others], batch.words.ends[others]], 1).ravel()
        has_letter[others] = (np.bitwise_or.reduceat(batch.classes, edges)[::2] & LETTER) != 0
    return has_letter


def _ellipses(batch: TextBatch) -> Index:
    starts, lengths = runs_at(signs(batch, "."))
    return np.sort(np.concatenate([starts[lengths >= 3], signs(batch, "…")]))


def _sentence_ends(batch: TextBatch) -> Index:
    places = signs(batch, SENTENCE_ENDS)
    # A line break stands behind every text: there is always a next character.
    ends: Mask = ((batch.classes[places + 1] & SPACE) != 0) | any_of(batch.codes[places + 1], CLOSING)
    return places[ends]
