"""Measures of repetition, held against their definitions in plain Python."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.filters.repetition import DUPLICATE, FEATURES, TOP, measure

word_lists = st.lists(
    st.lists(st.sampled_from(["a", "bb", "CC", "cc", "ddd"]), max_size=60)
    | st.lists(st.integers(0, 30).map(lambda number: "w" * (number % 4 + 1) + str(number)), min_size=20, max_size=80)
    | st.tuples(st.lists(st.sampled_from("abcdefgh"), max_size=14), st.integers(1, 5)).map(
        lambda pair: pair[0] * pair[1]
    ),
    max_size=4,
)


def per(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def oracle(given_words: list[str]) -> dict[str, float]:
    words = [word.lower() for word in given_words]
    number, characters = len(words), sum(map(len, words))
    same = sum(count * (count - 1) for count in Counter(words).values())
    found = {"same_words": per(same, number * (number - 1)) if number >= 50 else math.nan}
    for size in (*TOP, *DUPLICATE):
        grams = [tuple(words[at : at + size]) for at in range(number - size + 1)]
        if size in TOP:
            several = [(count, len("".join(gram))) for gram, count in Counter(grams).items() if count > 1]
            count, length = max(several, default=(0, 0))
            found[f"top_{size}gram"] = per(min(count * length, characters), characters)
        else:
            covered, seen = set(), set()
            for at, gram in enumerate(grams):
                if gram in seen:
                    covered |= set(range(at, at + size))
                seen.add(gram)
            found[f"duplicate_{size}gram"] = per(sum(len(words[at]) for at in covered), characters)
    return found


def check(texts: list[list[str]]) -> None:
    found = measure(TextBatch([" ".join(words) for words in texts]))
    assert list(found) == [feature.name for feature in FEATURES]
    for number, words in enumerate(texts):
        for name, wanted in oracle(words).items():
            assert float(found[name][number]) == pytest.approx(wanted, rel=1e-6, nan_ok=True), (name, words)


@settings(max_examples=40)
@given(word_lists)
def test_measures_are_as_defined(texts: list[list[str]]) -> None:
    check(texts)


def test_measures_of_a_thousand_texts_at_once_are_as_defined() -> None:
    generator = random.Random(0)
    words = ["a", "bb", "ccc", "DDDD", *(f"w{number}" for number in range(20))]
    check([generator.choices(words[: generator.randrange(1, 24)], k=generator.randrange(80)) for _ in range(1000)])


@settings(max_examples=40)
@given(st.lists(st.text("ab c", max_size=200), max_size=4))
def test_longer_phrases_repeat_no_more_than_shorter_ones(texts: list[str]) -> None:
    found = measure(TextBatch(texts))
    for size in DUPLICATE[1:]:
        shorter, longer = found[f"duplicate_{size - 1}gram"], found[f"duplicate_{size}gram"]
        assert not (longer > shorter).any()
