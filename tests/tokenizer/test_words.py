from __future__ import annotations

import sys

from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from textus.tokenizer import words
from textus.tokenizer.words import SPLIT, WordEncoder, is_plain, plain_runs

PLAIN = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000 and is_plain(chr(code))]
plain_text = st.text(st.sampled_from(PLAIN)) | st.text(st.sampled_from("aB é'sSrRvVeElLdDmMtT09 \n\r\t\x0b\x1c_.…"))
SPLITTER = pre_tokenizers.Split(Regex(SPLIT), "isolated")


@given(plain_text)
@example("".join(PLAIN))
@example(" ".join(PLAIN) + "  ".join(PLAIN) + "\n".join(PLAIN) + "'".join(PLAIN))
def test_words_of_plain_text_are_the_engines(text):
    assert words._WORD.findall(text) == [word for word, _ in SPLITTER.pre_tokenize_str(text)]


@given(plain_text)
def test_a_word_alone_is_one_word(text):
    for word in words._WORD.findall(text):
        assert words._WORD.findall(word) == [word]


@given(st.lists(plain_text | st.text(), max_size=5).map("".join))
def test_runs_are_the_text(text):
    runs = list(plain_runs(text))
    assert "".join(run for run, _ in runs) == text
    assert all(plain == is_plain(run) for run, plain in runs)


def test_a_rare_sign_leaves_the_rest_plain():
    text = "a word and another, " * 500 + "½" + " and more of the same." * 500
    plain = sum(len(run) for run, plain in plain_runs(text) if plain)
    assert plain > len(text) - 2 * words._SMALL_PIECE


def test_words_are_asked_for_once_and_forgotten_in_time(monkeypatch):
    asked = []

    def encode(word: str) -> tuple[int, ...]:
        asked.append(word)
        return (len(word),)

    monkeypatch.setattr(words, "_MOST_WORDS", 2)
    encoder = WordEncoder(encode)
    assert list(encoder.encode("one two one two three one")) == [3, 4, 4, 4, 6, 4]
    assert asked == ["one", " two", " one", " two", " three", " one"]
    long = "x" * 1000
    assert list(encoder.encode(long)) == list(encoder.encode(long)) == [1000]
    assert asked.count(long) == 2
