"""Measures of characters, held against their definitions in plain Python."""

from __future__ import annotations

import math
import random
import string
import unicodedata
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.filters import characters
from textus.corpus.filters.characters import measure

INVISIBLE = "\xad\u200b\u200e\u200f\ufeff\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064"
FRAGMENTS = [
    "The quick", " ", "\n", "\t", "Ünï", "é\u0301", "漢", "42", "٣", "…", "Ã©", "Â»", "â€™", "Ñ‚", "Ãé", "\ufffd",
    "\x07", "\x85", "\u200d", "\ue000", "\ud800", *INVISIBLE,
]  # fmt: skip
texts = st.lists(
    st.lists(st.sampled_from(FRAGMENTS) | st.characters(), max_size=25).map("".join)
    | st.text(string.ascii_letters + " ", min_size=100, max_size=300),
    max_size=5,
)
SECOND = {chr(code) for code in range(0x80, 0xC0)} | set("€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ")


def per(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def letter_pairs(text: str) -> float:
    pairs = [a + b for a, b in pairwise(text) if (a + b).isascii() and (a + b).isalpha()]
    counts, number = Counter(pair.lower() for pair in pairs), len(pairs)
    if number < 100:
        return math.nan
    return 676 * sum(n * (n - 1) for n in counts.values()) / (number * (number - 1))


def oracle(text: str) -> dict[str, float]:
    kinds = ["space" if character.isspace() else unicodedata.category(character) for character in text]
    spaces = sum(kind == "space" or kind[0] == "Z" for kind in kinds)
    solid, letters = len(text) - spaces, sum(kind[0] == "L" for kind in kinds)
    mojibake = [(a in "ÂÃÐÑ" and b in SECOND) or (a == "â" and b in "€\x80") for a, b in pairwise(text)]
    return {
        "characters": len(text),
        "letters": per(letters + sum(kind[0] == "M" for kind in kinds), solid),
        "digits": per(sum(kind[0] == "N" for kind in kinds), solid),
        "symbols": per(sum(kind[0] in "PS" for kind in kinds), solid),
        "white_space": per(spaces, len(text)),
        "uppercase": per(sum(kind == "Lu" for kind in kinds), letters),
        "unprintable": per(sum(kind in ("Cc", "Cn", "Co", "Cs") for kind in kinds), len(text)),
        "invisible": per(sum(text.count(character) for character in INVISIBLE), len(text)),
        "replaced": per(text.count("\ufffd"), len(text)),
        "mojibake": per(sum(mojibake), len(text)),
        "letter_pairs": letter_pairs(text),
    }


@settings(max_examples=40)
@given(texts)
def test_measures_are_as_defined(hold_to_definition: Any, given_texts: list[str]) -> None:
    hold_to_definition(characters, oracle, given_texts)


def test_measures_of_a_thousand_texts_at_once_are_as_defined(hold_to_definition: Any) -> None:
    generator = random.Random(0)
    hold_to_definition(
        characters,
        oracle,
        ["".join(generator.choices(FRAGMENTS, k=generator.randrange(30))) for _ in range(1000)]
        + ["ab" * 50, "ab" * 50 + "c"],
    )


def test_random_letters_pair_by_chance_and_language_does_not() -> None:
    random_letters = random.Random(0).choices(string.ascii_letters, k=3000)
    english = (
        "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness"
    )
    found = measure(TextBatch(["".join(random_letters), english * 3]))["letter_pairs"]
    assert found[0] == pytest.approx(1, abs=0.2)
    assert found[1] > 4


def test_of_nothing_no_share_is_known() -> None:
    found = measure(TextBatch([""]))
    assert found["characters"].tolist() == [0]
    assert all(np.isnan(column).all() for name, column in found.items() if name != "characters")
