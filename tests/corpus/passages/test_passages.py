"""Repeated passages, held against a search through all pairs of runs."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.passages.config import PassagesConfig
from textus.corpus.passages.cut import without_words
from textus.corpus.passages.passages import (
    Passages,
    anchors,
    joined,
    passages,
    repeated_anchors,
    spans,
    verified,
    windows,
)

SMALL = PassagesConfig(minimum_words=8)

texts = st.lists(st.lists(st.sampled_from("abc"), max_size=30).map(" ".join), max_size=4)
joined_pieces = st.lists(
    st.lists(st.sampled_from([" ".join("abcdefghi"), " ".join("klmnopqrs"), "x", "y", "z"]), max_size=6).map(" ".join),
    max_size=5,
)


def found(texts: list[str], config: PassagesConfig = SMALL, size: int = 100) -> Passages:
    batches = [(at, TextBatch(texts[at : at + size])) for at in range(0, len(texts), size)]
    repeated = repeated_anchors(joined([anchors(batch, config).shifted(at) for at, batch in batches]).sorted())
    every = joined([windows(batch, repeated, config).shifted(at) for at, batch in batches])
    return passages(every.sorted(), config)


def covered(texts: list[str], found_passages: Passages) -> list[list[bool]]:
    marks = [[False] * len(text.split()) for text in texts]
    for document, runs in spans(found_passages).items():
        for start, end in runs:
            assert not any(marks[document][start:end])
            marks[document][start:end] = [True] * (end - start)
    return marks


def slowly(texts: list[str], size: int) -> list[list[bool]]:
    """Mark every run of `size` words that an earlier text has."""
    split = [text.split() for text in texts]
    marks = [[False] * len(words) for words in split]
    seen: dict[tuple[str, ...], int] = {}
    for document, words in enumerate(split):
        for start in range(len(words) - size + 1):
            if seen.setdefault(tuple(words[start : start + size]), document) != document:
                marks[document][start : start + size] = [True] * size
    return marks


@given(texts | joined_pieces, st.integers(1, 3))
def test_every_repeat_of_the_length_is_found_and_nothing_else(given_texts: list[str], size: int) -> None:
    result = found(given_texts, size=size)
    assert covered(given_texts, result) == slowly(given_texts, SMALL.minimum_words)
    assert verified(result, given_texts.__getitem__).all()


@settings(max_examples=20)
@given(st.integers(0, 1 << 30), st.integers(50, 70), st.integers(8, 60))
def test_long_passages_among_many_words(seed: int, length: int, minimum: int) -> None:
    source = random.Random(seed)
    words = [f"w{source.randrange(300)}" for _ in range(600)]
    passage = " ".join(f"p{number}" for number in range(length))
    given_texts = [" ".join([*words[:200], passage, *words[200:300]]), "other", " ".join([*words[400:], passage])]
    config = PassagesConfig(minimum_words=minimum)
    result = found(given_texts, config)
    assert covered(given_texts, result) == slowly(given_texts, minimum)
    assert len(result) == (length >= minimum)


def test_the_first_document_keeps_the_passage() -> None:
    passage = "This very passage stands in three texts, word for word."
    given_texts = ["Nothing here.", f"One. {passage} Two.", f"{passage} Three.", f"Four.\n\n{passage}"]
    result = found(given_texts)
    assert result.documents.tolist() == [2, 3]
    assert result.first_documents.tolist() == [1, 1]
    runs = spans(result)
    batch = TextBatch(given_texts)
    assert [without_words(batch, number, runs.get(number, [])) for number in range(4)] == [
        *given_texts[:2],
        "Three.",
        "Four.",
    ]


def test_a_refrain_of_one_text_is_no_repeat() -> None:
    assert len(found(["hey ho the wind and the rain it rains " * 5])) == 0


def test_case_and_punctuation_make_no_difference() -> None:
    words = "one two three four five six seven eight"
    assert len(found([words, words.upper().replace(" ", "; ")])) == 1


def test_verification_refuses_what_only_hashes_alike() -> None:
    wrong = Passages(*(np.array([number]) for number in (1, 0, 3, 0, 0)))
    assert verified(wrong, ["a b c", "a b c"].__getitem__).tolist() == [True]
    assert verified(wrong, ["a b c", "a b d"].__getitem__).tolist() == [False]
    assert verified(wrong, ["a b", "a b c"].__getitem__).tolist() == [False]
    assert len(wrong.where(np.array([False]))) == 0


def test_anchors_are_few() -> None:
    source = random.Random(1)
    batch = TextBatch([" ".join(f"w{source.randrange(10_000)}" for _ in range(20_000))])
    share = len(anchors(batch, PassagesConfig())) / len(batch.words)
    assert 1 / 15 < share < 1 / 12  # winnowing takes 2 / (w + 1) = 2 / 27 of all


@pytest.mark.parametrize("given_texts", [[], [""], ["", "a"], ["a " * 7, "a " * 7], ["\ud800"]])
def test_nothing_much_is_borne(given_texts: list[str]) -> None:
    assert len(found(given_texts)) == 0
    assert verified(found(given_texts), given_texts.__getitem__).tolist() == []
