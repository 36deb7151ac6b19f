"""Measures of what is not prose: links, tags, wiki marks, brackets, and data written as letters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import DIGIT, LETTER, SPACE, Index, Spans, TextBatch, runs
from textus.corpus.filters.feature import (
    C4,
    CODE,
    OURS,
    Column,
    Feature,
    Mask,
    any_of,
    count_at,
    most,
    per,
    runs_at,
    signs,
    total,
)

FEATURES = (
    Feature("curly_brackets", "curly brackets, { and }", C4, "count", "", "curly brackets"),
    Feature("longest_string", "characters of the longest string without white space", C4, "count", "", "a long string"),
    Feature("links", "characters of strings without white space that hold :// or begin with www. among the characters "
            "that are not white space", OURS, "share", "", "links"),
    Feature("tags", "characters of tags (< before a letter, / ! or ?, up to the next >) among the characters", OURS,
            "share", "", "tags"),
    Feature("entities", "entities of HTML, such as &amp; and &#160;, for each word", OURS, "ratio", "", "entities"),
    Feature("wiki_marks", "[[ and {{ for each word", OURS, "ratio", "", "wiki markup"),
    Feature("encoded", "characters of runs of 40 and more of A-Z a-z 0-9 + / = with a letter and a digit (base64, "
            "hexadecimal) among the characters", CODE, "share", "", "encoded data"),
)  # fmt: skip
_ENCODED = 40
_LONGEST_ENTITY = 10


def measure(batch: TextBatch) -> dict[str, Column]:
    """Measure the markup of each text."""
    characters, words = np.diff(batch.starts) - 1, batch.words.counts
    strings = batch.spans(*runs((batch.classes & SPACE) == 0))
    linked = np.zeros(len(strings), np.int64)
    in_link = np.unique(np.searchsorted(strings.starts, _links(batch, strings), "right") - 1)
    linked[in_link] = strings.lengths[in_link]
    starts, ends = _tags(batch)
    return {
        "curly_brackets": count_at(signs(batch, "{}"), batch.starts),
        "longest_string": most(strings.lengths, strings.offsets),
        "links": per(total(linked, strings.offsets), total(strings.lengths, strings.offsets)),
        "tags": per(_covered(batch, starts, ends), characters),
        "entities": per(count_at(_entities(batch), batch.starts), words),
        "wiki_marks": per(count_at(_twice(batch, "[{"), batch.starts), words),
        "encoded": per(_covered(batch, *_encoded(batch, strings)), characters),
    }


def _covered(batch: TextBatch, starts: Index, ends: Index) -> Index:
    spans = batch.spans(starts, ends)
    return total(spans.lengths, spans.offsets)


def _links(batch: TextBatch, strings: Spans) -> Index:
    """Find, in order, a character of every string that is a link; white space stands behind each."""
    codes, colons, first = batch.codes, signs(batch, ":"), strings.starts
    for step in (1, 2):
        colons = colons[codes[colons + step] == ord("/")]
    for step in (0, 1, 2):
        first = first[any_of(codes[first + step], "wW")]
    return np.sort(np.concatenate([colons, first[codes[first + 3] == ord(".")]]))


def _tags(batch: TextBatch) -> tuple[Index, Index]:
    """Find the tags: an opening angle bracket, and a closing one as the next angle bracket of the same text."""
    places = signs(batch, "<>")
    starts, ends = places[:-1], places[1:]
    tags = (batch.codes[starts] == ord("<")) & (batch.codes[ends] == ord(">"))
    starts, ends = starts[tags], ends[tags]
    tags = ((batch.classes[starts + 1] & LETTER) != 0) | any_of(batch.codes[starts + 1], "/!?")
    tags &= np.searchsorted(batch.starts, starts, "right") == np.searchsorted(batch.starts, ends, "right")
    return starts[tags], ends[tags] + 1


def _entities(batch: TextBatch) -> Index:
    """Find the ampersands that two to ten letters, digits and # follow, and then a semicolon."""
    starts, ends = signs(batch, "&"), signs(batch, ";")
    if not len(ends):
        return ends
    following = np.searchsorted(ends, starts)
    starts, following = starts[following < len(ends)], following[following < len(ends)]
    lengths = ends[following] - starts - 1
    fits = (lengths >= 2) & (lengths <= _LONGEST_ENTITY)
    starts, lengths = starts[fits], lengths[fits]
    is_entity = np.ones(len(starts), bool)
    for step in range(1, _LONGEST_ENTITY + 1):
        character = batch.codes[np.minimum(starts + step, len(batch.codes) - 1)]
        is_entity &= (step > lengths) | _is_ascii_word(character) | (character == ord("#"))
    return starts[is_entity]


def _is_ascii_word(codes: NDArray[np.uint32]) -> Mask:
    """Tell which characters are letters a-z, A-Z or digits; a smaller code wraps around to a great number."""
    found: Mask = ((codes | 0x20) - ord("a") < 26) | (codes - ord("0") < 10)
    return found


def _twice(batch: TextBatch, characters: str) -> Index:
    """Find where two equal characters stand in a row; a run of them is there once for each pair."""
    places = []
    for character in characters:
        starts, lengths = runs_at(signs(batch, character))
        places.append(np.repeat(starts, lengths // 2))
    return np.sort(np.concatenate(places))


def _encoded(batch: TextBatch, strings: Spans) -> tuple[Index, Index]:
    """Find the long runs; few strings without white space are long enough to be looked at."""
    long = strings.lengths >= _ENCODED
    starts, lengths = strings.starts[long], strings.lengths[long] + 1  # with the white space behind each
    places = np.arange(int(lengths.sum())) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    codes = batch.codes[places]
    first, last = runs(_is_ascii_word(codes) | any_of(codes, "+/="))
    long = last - first >= _ENCODED
    starts, ends = places[first[long]], places[last[long] - 1] + 1
    if not len(starts):
        return starts, ends
    edges = np.stack([starts, ends], 1).ravel()
    kinds = np.bitwise_or.reduceat(batch.classes, edges)[::2]
    both = ((kinds & LETTER) != 0) & ((kinds & DIGIT) != 0)
    return starts[both], ends[both]
