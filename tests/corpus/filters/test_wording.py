"""Measures of words, held against their definitions in plain Python."""

from __future__ import annotations

import math
import random
import re
import unicodedata
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.filters import wording
from textus.corpus.filters.wording import PLACEHOLDERS, STOP_WORDS, beginnings, phrase

FRAGMENTS = [
    "the", "Be", "to", "lorem", "Ipsum", "dolor", "word", "42", "4x", "漢字", " ", " ", "\n",
    "#", "...", "..", "....", "…", ".", "!", "?", "。", '"', ")", "-",
]  # fmt: skip
texts = st.lists(st.lists(st.sampled_from(FRAGMENTS) | st.characters(), max_size=30).map("".join), max_size=5)


def words_of(text: str) -> list[str]:
    """The words of one text, as the batch has them; test_batch.py holds these against their definition."""
    batch = TextBatch([text])
    return [batch.word(number) for number in range(len(batch.words))]


def per(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def oracle(text: str) -> dict[str, float]:
    words = words_of(text)
    lower = [word.lower() for word in words]
    return {
        "words": len(words),
        "mean_word_length": per(sum(map(len, words)), len(words)),
        "alphabetic_words": per(sum(any(unicodedata.category(c)[0] == "L" for c in w) for w in words), len(words)),
        "stop_words": len(set(lower) & set(STOP_WORDS)),
        "hashes_per_word": per(text.count("#"), len(words)),
        "ellipses_per_word": per(len(re.findall(r"\.{3,}|…", text)), len(words)),
        "sentences": len(re.findall(r"[.!?。！？](?=[\s\"'”’»)\]」』）]|\Z)", text)),
        "lorem_ipsum": sum(pair == ("lorem", "ipsum") for pair in pairwise(lower)),
        "placeholder_words": per(sum(word in PLACEHOLDERS for word in lower), len(words)),
        "breaks_per_word": per(text.count("\n"), len(words)),
    }


@settings(max_examples=40)
@given(texts)
def test_measures_are_as_defined(hold_to_definition: Any, given_texts: list[str]) -> None:
    hold_to_definition(wording, oracle, given_texts)


def test_measures_of_a_thousand_texts_at_once_are_as_defined(hold_to_definition: Any) -> None:
    generator = random.Random(0)
    hold_to_definition(
        wording, oracle, ["".join(generator.choices(FRAGMENTS, k=generator.randrange(30))) for _ in range(1000)]
    )


@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "c"]), max_size=8), max_size=5), st.sampled_from(["a", "a b", "a b a"])
)
def test_a_phrase_is_found_within_a_text(given_words: list[list[str]], wanted: str) -> None:
    batch = TextBatch([", ".join(words).upper() for words in given_words])
    found = phrase(batch, wanted, beginnings(batch, (wanted,))).tolist()
    place, expected, size = 0, [], len(wanted.split())
    for words in given_words:
        expected += [place + at for at in range(len(words)) if words[at : at + size] == wanted.split()]
        place += len(words)
    assert found == expected
