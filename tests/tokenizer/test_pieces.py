from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from textus.tokenizer.pieces import _LETTER, pieces
from textus.tokenizer.words import SPLIT

SPLITTER = pre_tokenizers.Split(Regex(SPLIT), "isolated")
MIXED = st.lists(st.sampled_from([*"abé中あ한я09½_' \n\r\t.,;:!?、。，", "'s", "  ", "\n\n"]), max_size=60).map("".join)


def words(text: str) -> list[str]:
    return [word for word, _ in SPLITTER.pre_tokenize_str(text)]


@given(MIXED | st.text(), st.integers(1, 10))
def test_cutting_changes_no_word(text, size):
    parts = list(pieces(text, size))
    assert "".join(parts) == text
    assert [word for part in parts for word in words(part)] == words(text)
    assert all(len(part) >= size for part in parts[:-1])


def test_every_letter_to_cut_behind_is_a_letter_to_the_engine():
    letters = [chr(code) for code in range(1 << 16) if re.match(rf"[{_LETTER}]", chr(code))]
    assert len(letters) > 30_000
    assert words("".join(letters)) == ["".join(letters)]


def test_long_prose_is_cut_near_the_size():
    parts = list(pieces("a word. " * 1000, 100))
    assert max(map(len, parts)) <= 110
