"""Texts without some of their words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.passages.cut import marked_words, without_words


@pytest.mark.parametrize(
    ("text", "spans", "left"),
    [
        ("One. Two three. Four.", [(1, 3)], "One. Four."),
        ("One two.", [(0, 2)], ""),
        ("One two. Three.", [(0, 2)], "Three."),
        ("One. Two three.", [(1, 3)], "One."),
        ("One.\n\nTwo three.\n\nFour.", [(1, 3)], "One.\n\nFour."),
        ("One,\ntwo three\nfour.", [(1, 3)], "One,\n\nfour."),
        ('He said "go away" to me', [(2, 4)], "He said to me"),
        ("a b c d e f", [(1, 2), (3, 5)], "a c f"),
        ("a b c", [], "a b c"),
        ("(a b) c", [(0, 1)], "b) c"),
    ],
)
def test_what_is_left_reads_on(text: str, spans: list[tuple[int, int]], left: str) -> None:
    assert without_words(TextBatch(["before", text, "behind"]), 1, spans) == left


@pytest.mark.parametrize(
    ("text", "spans", "left"),
    [
        ("One. Two three. Four.", [(1, 3, "[...]")], "One. [...]. Four."),
        ("One two.", [(0, 2, "#")], "#."),
        ("One.\n\nTwo three.\n\nFour.", [(1, 3, "[...]")], "One.\n\n[...].\n\nFour."),
        ('He said "go away" to me', [(2, 4, "[...]")], 'He said "[...]" to me'),
        ("a b c d e f", [(1, 2, "#"), (3, 5, "")], "a # c f"),
    ],
)
def test_a_mark_stands_where_words_were(text: str, spans: list[tuple[int, int, str]], left: str) -> None:
    assert marked_words(TextBatch(["before", text, "behind"]), 1, spans) == left


@given(st.text(st.sampled_from('ab \n.,"(é漢'), max_size=40), st.data())
def test_the_other_words_stay(text: str, data: st.DataObject) -> None:
    batch = TextBatch([text])
    words = [batch.word(number) for number in range(len(batch.words))]
    borders = sorted(data.draw(st.sets(st.integers(0, len(words)), max_size=4)))
    spans = list(zip(borders[::2], borders[1::2], strict=False))
    left = TextBatch([without_words(batch, 0, spans)])
    kept = [word for number, word in enumerate(words) if not any(start <= number < end for start, end in spans)]
    assert [left.word(number) for number in range(len(left.words))] == kept
    marked = marked_words(batch, 0, [(*span, "<>") for span in spans])
    left = TextBatch([marked])
    assert [left.word(number) for number in range(len(left.words))] == kept
    assert marked.count("<>") == len(spans)
