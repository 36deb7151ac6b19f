"""Take runs of words out of a text, so that what is left reads on, or put a mark in their place."""

from __future__ import annotations

from collections.abc import Iterable

from textus.corpus.batch import TextBatch

_OPENING = "\"'([{<«“‘„*_#"


def without_words(batch: TextBatch, number: int, spans: Iterable[tuple[int, int]]) -> str:
    r"""Return a text of a batch without some runs of its words, given in order by their first words and ends.

    The signs behind a run go with it. A paragraph's end stays one, a line's end too; else one space is left.

    >>> without_words(TextBatch(["Begin here. Cut this out! And\n\ngo on."]), 0, [(2, 5)])
    'Begin here. And\n\ngo on.'
    """
    return marked_words(batch, number, ((first, end, "") for first, end in spans))


def marked_words(batch: TextBatch, number: int, spans: Iterable[tuple[int, int, str]]) -> str:
    r"""Return a text with a mark of its own in the place of each run; a run whose mark is empty is taken out.

    All that stands around a marked run stays as it is.

    >>> marked_words(TextBatch(["Begin here. Cut this out! And\n\ngo on."]), 0, [(2, 5, "[...]")])
    'Begin here. [...]! And\n\ngo on.'
    """
    at, text_end = int(batch.starts[number]), int(batch.starts[number + 1]) - 1
    first_word, last_word = int(batch.words.offsets[number]), int(batch.words.offsets[number + 1])
    left = ""
    for first, end, mark in spans:
        left += batch.piece(at, int(batch.words.starts[first_word + first])) + mark
        behind = int(batch.words.ends[first_word + end - 1])
        if mark:
            at = behind
            continue
        at = int(batch.words.starts[first_word + end]) if first_word + end < last_word else text_end
        left = _closed(left, batch.piece(behind, at), at == text_end)
    return left + batch.piece(at, text_end)


def _closed(left: str, gap: str, is_last: bool) -> str:
    """Close the gap between what is before a run and the word behind it."""
    # What opens the run, a quotation mark or a bracket, goes with it.
    opening = left.rstrip(_OPENING)
    kept = opening.rstrip() if not opening or opening[-1].isspace() else left.rstrip()
    if is_last or not kept:
        return kept
    breaks = (left[len(kept) :] + gap).count("\n")
    return kept + "\n" * min(breaks, 2) + " " * (not breaks)
