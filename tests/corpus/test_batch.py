"""Words, lines and their hashes, held against plain Python."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.batch import SPACE, TextBatch, batches
from textus.corpus.document import Document

texts = st.lists(
    st.text(st.sampled_from("aAbB1é漢かไ\u0301 .,\n\t'-\U0001f600\u3000ÄıẞΣ") | st.characters(), max_size=40)
)


def words_of(text: str) -> list[str]:
    """Words by the definition, a character at a time."""
    found: list[str] = []
    open_word = False
    for char in text:
        if unicodedata.category(char)[0] not in "LNM":
            open_word = False
            continue
        alone = unicodedata.category(char)[0] == "L" and re.match(
            "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
            "\uf900-\ufaff\U00020000-\U0003ffff]",
            char,
        )
        if open_word and not alone:
            found[-1] += char
        else:
            found.append(char)
        open_word = not alone
    return found


@given(texts)
def test_words_and_lines_are_those_of_each_text(given_texts: list[str]) -> None:
    batch = TextBatch(given_texts)
    assert len(batch) == len(given_texts)
    for number, text in enumerate(given_texts):
        assert batch.text(number) == text
        own = range(batch.words.offsets[number], batch.words.offsets[number + 1])
        assert [batch.word(word) for word in own] == words_of(text)
        lines = range(batch.lines.offsets[number], batch.lines.offsets[number + 1])
        found = [batch.piece(int(batch.lines.starts[line]), int(batch.lines.ends[line])) for line in lines]
        assert found == text.split("\n")


@given(texts)
def test_equal_words_have_equal_hashes_and_others_have_others(given_texts: list[str]) -> None:
    batch = TextBatch(given_texts)
    by_word: dict[str, set[int]] = {}
    for number, value in enumerate(batch.word_hashes.tolist()):
        key = "".join(
            c.lower() if len(c.lower()) == 1 and unicodedata.category(c) == "Lu" else c for c in batch.word(number)
        )
        by_word.setdefault(key, set()).add(value)
    assert all(len(values) == 1 for values in by_word.values())
    assert len(set().union(*by_word.values())) == len(by_word)


@given(texts, st.integers(1, 6))
def test_ngrams_are_runs_of_words_within_a_text(given_texts: list[str], size: int) -> None:
    batch = TextBatch(given_texts)
    hashes, offsets = batch.ngrams(size)
    seen: dict[tuple[int, ...], int] = {}
    for number in range(len(given_texts)):
        own = batch.word_hashes[batch.words.offsets[number] : batch.words.offsets[number + 1]].tolist()
        wanted = [tuple(own[start : start + size]) for start in range(max(1, len(own) - size + 1))] if own else []
        found = hashes[offsets[number] : offsets[number + 1]].tolist()
        assert len(found) == len(wanted)
        for gram, value in zip(wanted, found, strict=True):
            assert seen.setdefault(gram, value) == value
    assert len(set(seen.values())) == len(seen)


@given(texts)
def test_lines_are_hashed_without_the_spaces_around_them(given_texts: list[str]) -> None:
    batch, padded = (
        TextBatch(given_texts),
        TextBatch([f" {text.replace(chr(10), chr(9) + chr(10))}" for text in given_texts]),
    )
    assert (batch.line_hashes == padded.line_hashes).all()


def test_a_hash_does_not_depend_on_the_place_nor_on_the_batch() -> None:
    alone, among = TextBatch(["the words"]), TextBatch(["other things " * 1000, "THE words"])
    assert (alone.word_hashes == among.word_hashes[-2:]).all()
    assert (alone.line_hashes == among.line_hashes[-1:]).all()
    assert alone.ngrams(2)[0] == among.ngrams(2)[0][-1:]


def test_hashes_are_the_same_on_every_machine_and_in_every_version() -> None:
    assert TextBatch(["textus"]).word_hashes.tolist() == [18202016614897224466]


def test_hashes_spread_evenly() -> None:
    hashes = TextBatch([" ".join(f"word{number}" for number in range(4096))]).word_hashes
    assert len(np.unique(hashes)) == 4096
    for shift in (0, 20, 58):
        counts = np.bincount(((hashes >> np.uint64(shift)) & np.uint64(63)).astype(np.int64), minlength=64)
        assert ((counts - 64) ** 2 / 64).sum() < 130  # chi squared of 63 degrees: 130 is beyond any reasonable doubt


@pytest.mark.parametrize("given_texts", [[], [""], ["", ""], ["   \n "], ["."], ["\ud800 a"]])
def test_nothing_much_is_borne(given_texts: list[str]) -> None:
    batch = TextBatch(given_texts)
    assert len(batch.word_hashes) == len(batch.words)
    assert len(batch.line_hashes) == len(batch.lines) == sum(text.count("\n") + 1 for text in given_texts)
    assert len(batch.ngrams(5)[1]) == len(given_texts) + 1
    assert (batch.classes & SPACE).sum() >= 0


def test_documents_come_in_groups() -> None:
    documents = [Document("x" * size, "s") for size in (3, 4, 1, 9, 1)]
    assert [[len(d.text) for d in group] for group in batches(documents, 5)] == [[3, 4], [1, 9], [1]]
    assert list(batches([])) == []
