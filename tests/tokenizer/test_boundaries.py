from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Engine
from tokenizers import models, pre_tokenizers, trainers

from textus.tokenizer.tokenizer import Tokenizer
from textus.tokenizer.words import words


def cut(tokenizer: Tokenizer, tokens: Any) -> list[bytes]:
    """The words that the starts make of tokens."""
    starts = np.flatnonzero(tokenizer.word_starts(tokens))
    parts = np.split(np.array(tokens), starts[1:])
    return [b"".join(map(tokenizer.token_bytes, part.tolist())) for part in parts]


@given(text=st.text(min_size=1))
def test_words_are_those_that_text_is_cut_into(tokenizer: Tokenizer, text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    found = [word.encode() for part in words(text) for word in part]
    assert cut(tokenizer, tokenizer.encode(text)) == found


def test_a_long_text_has_many_words(tokenizer: Tokenizer, texts: list[str]) -> None:
    for text in (texts[0], texts[-1]):
        tokens = tokenizer.encode(text)
        assert cut(tokenizer, tokens) == [word.encode() for part in words(text) for word in part]
    assert 0.1 < tokenizer.word_starts(tokenizer.encode("antidisestablishmentarianism and wool")).mean() < 0.9


@given(st.data())
def test_a_row_cut_out_of_a_text_begins_a_word_and_special_tokens_are_words(tokenizer: Tokenizer, data: Any) -> None:
    tokens = tokenizer.encode("Grüße, 你好 and 🦙 they'll weave; 1234567 ells\n\n of it.")
    start = data.draw(st.integers(0, len(tokens) - 1))
    row = [*tokens[start:], tokenizer.end, tokenizer.mask, *tokens[:start]]
    starts = tokenizer.word_starts(row)
    behind = len(tokens) - start
    assert starts[0] and starts[behind] and starts[behind + 1]
    assert starts[behind + 2 : behind + 3].all()


def test_nothing_has_no_words(tokenizer: Tokenizer) -> None:
    assert tokenizer.word_starts([]).tolist() == []
    assert tokenizer.word_starts([tokenizer.end]).tolist() == [True]


def test_a_byte_level_tokenizer_of_another_split_says_where_words_begin() -> None:
    engine = Engine(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    engine.train_from_iterator(["looms and wool"] * 3, trainer)
    tokenizer = Tokenizer(engine.to_str())
    assert cut(tokenizer, tokenizer.encode("wool, 12345 ü")) == [b"wool", b",", b" 12345", " ü".encode()]


def test_where_words_are_marked_the_marks_say_so() -> None:
    engine = Engine(
        models.WordPiece({"[UNK]": 0, "[SEP]": 1, "loom": 2, "##s": 3, "we": 4, "##ave": 5}, unk_token="[UNK]")
    )
    engine.pre_tokenizer = pre_tokenizers.Whitespace()
    engine.add_special_tokens(["[SEP]"])
    tokenizer = Tokenizer(engine.to_str())
    assert tokenizer.word_starts([1, 2, 3, 4, 5, 1, 3]).tolist() == [True, True, False, True, False, True, True]
