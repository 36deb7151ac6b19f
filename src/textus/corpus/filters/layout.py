"""Measures of lines: how long they are, how they begin and end, and which are there twice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from textus.corpus.batch import Index, TextBatch
from textus.corpus.filters.feature import (
    C4,
    CODE,
    FINEWEB,
    GOPHER,
    Column,
    Feature,
    Mask,
    any_of,
    most,
    per,
    total,
)
from textus.corpus.filters.groups import repeats, salts
from textus.corpus.filters.wording import beginnings, phrase

FEATURES = (
    Feature("lines", "lines that are not blank", GOPHER, "count", "few lines", "many lines"),
    Feature("bullet_lines", "lines that begin with a bullet (• ‣ ◦ ▪ ● · - *) among the lines that are not blank",
            GOPHER, "share", "", "bullets"),
    Feature("ellipsis_lines", "lines that end in an ellipsis among the lines that are not blank", GOPHER, "share", "",
            "lines cut short"),
    Feature("punctuated_lines", "lines that end in . ! ? or another script's end of a sentence, an ellipsis or a "
            "closing quotation mark among the lines that are not blank", f"{C4}; {FINEWEB}", "share",
            "lines without punctuation", "lines with punctuation"),
    Feature("short_lines", "lines of at most 30 characters among the lines that are not blank", FINEWEB, "share",
            "few short lines", "short lines"),
    Feature("javascript_lines", "lines with the word javascript among the lines that are not blank", C4, "share", "",
            "JavaScript warnings"),
    Feature("policy_lines", "lines with terms of use, privacy policy, cookie policy, use cookies, uses cookies or use "
            "of cookies among the lines that are not blank", C4, "share", "", "policies"),
    Feature("comment_lines", "lines that begin with # // /* * or -- among the lines that are not blank", CODE, "share",
            "few comments", "comments"),
    Feature("longest_line", "characters of the longest line", CODE, "count", "", "a long line"),
    Feature("mean_line_length", "characters for each line, blank ones too", CODE, "ratio", "short lines on average",
            "long lines"),
    Feature("duplicate_lines", "lines that were there before in the text among the lines that are not blank", GOPHER,
            "share", "", "repeated lines"),
    Feature("duplicate_line_characters", "characters of lines that were there before in the text among the characters "
            "of lines, without the white space around them", f"{GOPHER}; {FINEWEB}", "share", "",
            "characters in repeated lines"),
    Feature("duplicate_paragraphs", "paragraphs (parted by blank lines) that were there before in the text among the "
            "paragraphs", GOPHER, "share", "", "repeated paragraphs"),
    Feature("duplicate_paragraph_characters", "characters of paragraphs that were there before in the text among the "
            "characters of paragraphs", GOPHER, "share", "", "characters in repeated paragraphs"),
)  # fmt: skip
BULLETS = "•‣◦▪●·-*"
LINE_ENDS = ".!?…\"'”’»」』。！？．｡।॥؟۔։՝።"
POLICIES = ("terms of use", "privacy policy", "cookie policy", "use cookies", "uses cookies", "use of cookies")
SHORT = 30
"""Characters of a short line."""


@dataclass(frozen=True)
class Pieces:
    """Lines or paragraphs that are not blank, without the white space around them."""

    starts: Index
    ends: Index
    owners: Index
    numbers: Index
    """The number, among all lines, of the line in which each begins."""


def measure(batch: TextBatch) -> dict[str, Column]:
    """Measure the lines of each text."""
    every, lines = batch.lines, solid_lines(batch)
    numbers = np.bincount(lines.owners, minlength=len(batch))
    first, last, lengths = batch.codes[lines.starts], batch.codes[lines.ends - 1], lines.ends - lines.starts

    def share(mask: Mask) -> Column:
        return per(np.bincount(lines.owners[mask], minlength=len(batch)), numbers)

    def share_with(*phrases: str) -> Column:
        return per(_lines_with(batch, phrases), numbers)

    repeated, repeated_characters = _repeated(batch, lines)
    paragraphs_repeated, paragraph_characters = _repeated(batch, paragraphs(lines))
    return {
        "lines": numbers,
        "bullet_lines": share(any_of(first, BULLETS)),
        "ellipsis_lines": share(_ends_in_ellipsis(batch, lines)),
        "punctuated_lines": share(any_of(last, LINE_ENDS)),
        "short_lines": share(lengths <= SHORT),
        "javascript_lines": share_with("javascript"),
        "policy_lines": share_with(*POLICIES),
        "comment_lines": share(_comments(batch, lines)),
        "longest_line": most(every.lengths, every.offsets),
        "mean_line_length": per(total(every.lengths, every.offsets), every.counts),
        "duplicate_lines": repeated,
        "duplicate_line_characters": repeated_characters,
        "duplicate_paragraphs": paragraphs_repeated,
        "duplicate_paragraph_characters": paragraph_characters,
    }


def solid_lines(batch: TextBatch) -> Pieces:
    """Return the lines that are not blank."""
    starts, ends = batch.trimmed_lines
    numbers = np.flatnonzero(ends > starts)
    return Pieces(starts[numbers], ends[numbers], batch.lines.owners[numbers], numbers)


def paragraphs(lines: Pieces) -> Pieces:
    """Join the lines between which no blank one stands."""
    begins = np.ones(len(lines.starts), bool)
    begins[1:] = (np.diff(lines.numbers) > 1) | (np.diff(lines.owners) > 0)
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(begins))[: len(first)] - 1
    return Pieces(lines.starts[first], lines.ends[last], lines.owners[first], lines.numbers[first])


def _repeated(batch: TextBatch, pieces: Pieces) -> tuple[Column, Column]:
    """Return the share of the pieces that were there before in their text, by number and by characters."""
    numbers, lengths = np.bincount(pieces.owners, minlength=len(batch)), pieces.ends - pieces.starts
    found = repeats(batch.hashes(pieces.starts, pieces.ends) ^ salts(numbers))
    owners, again, characters = pieces.owners[found.first], *np.zeros((2, len(batch)), np.int64)
    np.add.at(again, owners, found.counts - 1)
    np.add.at(characters, owners, (found.counts - 1) * lengths[found.first])
    every = np.zeros(len(batch), np.int64)
    np.add.at(every, pieces.owners, lengths)
    return per(again, numbers), per(characters, every)


def _ends_in_ellipsis(batch: TextBatch, lines: Pieces) -> Mask:
    codes, ends = batch.codes, lines.ends
    # Before a line there is white space, and behind the last text, where -1 leads, a line break: never a dot.
    three: Mask = (codes[ends - 1] == ord(".")) & (codes[ends - 2] == ord(".")) & (codes[ends - 3] == ord("."))
    three |= codes[ends - 1] == ord("…")
    return three


def _comments(batch: TextBatch, lines: Pieces) -> Mask:
    first, second = batch.codes[lines.starts], batch.codes[lines.starts + 1]  # at the least the line break
    found: Mask = any_of(first, "#*") | ((first == ord("/")) & (second == ord("*")))
    found |= (first == second) & any_of(first, "/-")
    return found


def _lines_with(batch: TextBatch, phrases: tuple[str, ...]) -> Index:
    """Count the lines of each text in which one of some phrases stands whole."""
    found, some = [], beginnings(batch, phrases)
    for text in phrases:
        first = phrase(batch, text, some)
        begins, ends = batch.words.starts[first], batch.words.starts[first + len(text.split()) - 1]
        lines = np.searchsorted(batch.lines.starts, begins, "right") - 1
        found.append(lines[ends < batch.lines.ends[lines]])
    return np.diff(np.searchsorted(np.unique(np.concatenate(found)), batch.lines.offsets))
