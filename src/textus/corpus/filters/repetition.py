"""Measures of repetition: how much of a text its own words and word n-grams say again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index, TextBatch
from textus.corpus.filters.feature import GOPHER, Column, Feature, per
from textus.corpus.filters.groups import Groups, groups

TOP, DUPLICATE = (2, 3, 4), (5, 6, 7, 8, 9, 10)
"""Sizes of the n-grams of which the most frequent one counts, and of those that count wherever they come again."""
FEATURES = (
    Feature("same_words", "how probable it is that two words of the text are the same: sum n(n-1) / N(N-1) over the "
            "counts n of each of N words; English prose 0.01; NaN under 50 words", "Simpson 1949; Yule's K (1944)",
            "share", "few repeated words", "few different words"),
    *(Feature(f"top_{size}gram", f"characters of the most frequent {size} words in a row (the longest such, if it "
              "occurs twice), each time that it occurs, among the characters of words; at most 1", GOPHER, "share", "",
              f"a frequent phrase of {size} words") for size in TOP),
    *(Feature(f"duplicate_{size}gram", f"characters of words inside {size} words in a row that were there before in "
              "the text, each counted once, among the characters of words", GOPHER, "share", "",
              f"repeated phrases of {size} words") for size in DUPLICATE),
)  # fmt: skip
_FEWEST_WORDS = 50


def measure(batch: TextBatch) -> dict[str, Column]:
    """Measure the repetition inside each text."""
    words = batch.words
    before = np.zeros(len(words) + 1, np.int64)
    np.cumsum(words.lengths, out=before[1:])
    characters = before[words.offsets[1:]] - before[words.offsets[:-1]]
    found = groups(batch.word_hashes, words.owners)
    columns: dict[str, Column] = {"same_words": _same_words(batch, found)}
    starts = _repeated(found, np.arange(len(words)), len(words))
    for size in range(2, DUPLICATE[-1] + 1):
        # Only where the shorter n-gram comes again, and the one after it, can the longer one: few remain to be sorted.
        candidates = np.flatnonzero(starts[:-1] & starts[1:])
        candidates = candidates[candidates + size <= words.offsets[words.owners[candidates] + 1]]
        found = groups(batch.word_runs(candidates, candidates + size), words.owners[candidates])
        if size in TOP:
            columns[f"top_{size}gram"] = per(
                _top(found, candidates, size, before, words.owners, characters), characters
            )
        if size in DUPLICATE:
            again = _again(found, candidates)
            columns[f"duplicate_{size}gram"] = per(_covered(again, size, before, words.owners, len(batch)), characters)
        starts = _repeated(found, candidates, len(words))
    return columns


def _repeated(found: Groups, places: Index, length: int) -> NDArray[np.bool_]:
    """Mark the places whose n-gram is there more than once."""
    marks = np.zeros(length + 1, bool)
    marks[places[found.order[found.in_group(found.counts > 1)]]] = True
    return marks


def _same_words(batch: TextBatch, found: Groups) -> Column:
    numbers, same = batch.words.counts, np.zeros(len(batch), np.int64)
    np.add.at(same, batch.words.owners[found.first], found.counts * (found.counts - 1))
    return np.where(numbers >= _FEWEST_WORDS, per(same, numbers * (numbers - 1)), np.float32(np.nan))


def _top(found: Groups, places: Index, size: int, before: Index, owners: Index, characters: Index) -> Index:
    """Return the characters of the most frequent n-gram of each text, times its occurrences."""
    several = np.flatnonzero(found.counts > 1)
    first, counts = places[found.first[several]], found.counts[several]
    lengths = before[first + size] - before[first]
    best = np.zeros(len(characters), np.int64)
    # The count decides, then the length.
    np.maximum.at(best, owners[first], counts << 32 | lengths)
    return np.minimum((best >> 32) * (best & 0xFFFFFFFF), characters)


def _again(found: Groups, places: Index) -> Index:
    """Return, in order, the places of n-grams that were there before: all of a group but the first."""
    if not len(places):
        return places
    earliest = found.in_group(np.minimum.reduceat(found.order, found.starts))
    later = np.zeros(len(places), bool)
    later[found.order[found.order != earliest]] = True
    return places[later]


def _covered(places: Index, size: int, before: Index, owners: Index, texts: int) -> Index:
    """Return the characters of the words in any of some ordered n-grams, each counted once."""
    starts = places.copy()
    starts[1:] = np.maximum(places[1:], places[:-1] + size)
    covered = np.zeros(texts, np.int64)
    np.add.at(covered, owners[places], before[places + size] - before[starts])
    return covered
