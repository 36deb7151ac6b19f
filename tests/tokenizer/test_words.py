from __future__ import annotations

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from textus.tokenizer import words
from textus.tokenizer.words import SPLIT, WordEncoder, class_borders

SPLITTER = pre_tokenizers.Split(Regex(SPLIT), "isolated")
EVERY = [chr(code) for code in (*range(0xD800), *range(0xE000, 0x40000), *range(0x40000, sys.maxunicode, 37))]
TRICKY = [
    *"aB é'ſsSrRvVeElLdDmMtT09½٣ \n\r\t\x0b\x1c\x85\u00a0\u2028_.…中я한🦙",
    "\u0301",
    "\U00020000",
    "𝐀",
    "𝟘",
    "'s",
]
ANYTHING = st.lists(st.sampled_from(TRICKY), max_size=40).map("".join) | st.text()


def ours(text: str) -> list[str]:
    return [word for part in words.words(text) for word in part]


def engines(text: str) -> list[str]:
    return [word for word, _ in SPLITTER.pre_tokenize_str(text)]


@given(ANYTHING)
@example("".join(class_borders()))
@example(" ".join(class_borders()))
@example("a".join(class_borders()))
@example("1".join(class_borders()))
@example("'".join(EVERY[:0x3000]) + "  ".join(EVERY[:0x3000]) + "\n".join(EVERY[:0x3000]))
def test_words_are_the_engines(text):
    assert ours(text) == engines(text)


@pytest.mark.parametrize("between", ["", "."])
def test_every_character_is_of_the_class_that_the_engine_says(between):
    assert words._whole().findall(between.join(EVERY)) == engines(between.join(EVERY))


@given(ANYTHING)
def test_a_word_alone_is_one_word(text):
    for word in ours(text):
        assert ours(word) == [word]


@given(ANYTHING)
def test_a_piece_is_basic_only_if_it_has_no_letter_number_or_space_beyond(text):
    if words._is_basic(text):
        assert words._basic().findall(text) == words._whole().findall(text)


def test_words_are_asked_for_once_and_forgotten_in_time(monkeypatch):
    asked = []

    def encode(new: list[str]) -> list[list[int]]:
        asked.extend(new)
        return [[len(word)] for word in new]

    monkeypatch.setattr(words, "_MOST_WORDS", 3)
    encoder = WordEncoder(encode)
    first, second = encoder.encode_batch(["one two one two", "one"])
    assert (first.tolist(), second.tolist()) == ([3, 4, 4, 4], [3])
    assert sorted(asked) == [" one", " two", "one"]
    assert [tokens.tolist() for tokens in encoder.encode_batch(["one two", ""])] == [[3, 4], []]
    assert len(asked) == 3
    assert encoder.encode_batch(["three"])[0].tolist() == [5] and asked.pop() == "three"
    assert encoder.encode_batch(["one"])[0].tolist() == [3] and asked.pop() == "one"  # all were forgotten
    long = "x" * 1000
    assert [encoder.encode_batch([long])[0].tolist() for _ in range(2)] == [[1000], [1000]]
    assert asked.count(long) == 2
