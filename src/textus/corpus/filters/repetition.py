"""Measures of repetition: how much of a text its own words and word n-grams say again."""

from __future__ import annotations

import numpy as np

from textus.corpus.batch import Index, TextBatch
from textus.corpus.filters.feature import GOPHER, Column, Feature, per
from textus.corpus.filters.groups import Repeats, crowded, repeats, salts

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
    words, owners, salt = batch.words, batch.words.owners, salts(batch.words.counts)
    before = np.zeros(len(words) + 1, np.int64)
    np.cumsum(words.lengths, out=before[1:])
    characters = before[words.offsets[1:]] - before[words.offsets[:-1]]
    again = np.append(crowded(batch.word_hashes ^ salt), False)
    columns: dict[str, Column] = {"same_words": _same_words(batch, np.flatnonzero(again))}
    for size in range(2, DUPLICATE[-1] + 1):
        # Only where the shorter n-gram comes again, and the one after it, can the longer one.
        places = np.flatnonzero(again[:-1] & again[1:])
        places = places[places + size <= words.offsets[owners[places] + 1]]
        found = repeats(batch.word_runs(places, places + size) ^ salt[places])
        again = np.zeros(len(words) + 1, bool)
        again[places[found.order]] = True
        if size in TOP:
            columns[f"top_{size}gram"] = per(_top(found, places, size, before, owners, characters), characters)
        else:
            covered = _covered(_later(found, places), size, before, owners, len(batch))
            columns[f"duplicate_{size}gram"] = per(covered, characters)
    return columns


def _same_words(batch: TextBatch, places: Index) -> Column:
    """Count the words of each text by sorting 40 bits of their hashes: a wrong pair in 10^12 changes no share.

    Only those at `places` may be in their text more than once.
    """
    assert len(batch) < 1 << 24
    numbers, same = batch.words.counts, np.zeros(len(batch), np.int64)
    owners, hashes = batch.words.owners[places].astype(np.uint64), batch.word_hashes[places]
    keys = np.sort(owners << np.uint64(40) | hashes >> np.uint64(24))
    starts = np.flatnonzero(np.diff(keys, prepend=~keys[:1]))
    counts = np.diff(starts, append=len(keys))
    np.add.at(same, (keys[starts] >> np.uint64(40)).astype(np.int64), counts * (counts - 1))
    return np.where(numbers >= _FEWEST_WORDS, per(same, numbers * (numbers - 1)), np.float32(np.nan))


def _top(found: Repeats, places: Index, size: int, before: Index, owners: Index, characters: Index) -> Index:
    """Return the characters of the most frequent n-gram of each text, times its occurrences."""
    first = places[found.first]
    best = np.zeros(len(characters), np.int64)
    # The count decides, then the length.
    np.maximum.at(best, owners[first], found.counts << 32 | (before[first + size] - before[first]))
    return np.minimum((best >> 32) * (best & 0xFFFFFFFF), characters)


def _later(found: Repeats, places: Index) -> Index:
    """Return, in order, the places of n-grams that were there before: all of a group but the first."""
    later = np.zeros(len(places), bool)
    later[found.order] = True
    later[found.first] = False
    return places[later]


def _covered(places: Index, size: int, before: Index, owners: Index, texts: int) -> Index:
    """Return the characters of the words in any of some ordered n-grams, each counted once."""
    starts = places.copy()
    starts[1:] = np.maximum(places[1:], places[:-1] + size)
    covered = np.zeros(texts, np.int64)
    np.add.at(covered, owners[places], before[places + size] - before[starts])
    return covered
