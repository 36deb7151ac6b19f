import pytest

from textus.adaptation.encode import fitting, text_tokens, word_tokens
from textus.errors import InputError


def test_texts_and_pairs_are_what_transformers_makes_of_them(starts, tokenizer):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(starts["encoder"])
    assert text_tokens(tokenizer, "A loom.") == theirs("A loom.").input_ids
    assert text_tokens(tokenizer, "A loom.", "Ä thread") == theirs("A loom.", "Ä thread").input_ids
    assert text_tokens(tokenizer, "") == [tokenizer.end]


def test_words_stand_as_in_a_text_and_are_asked_at_their_beginning(tokenizer):
    words = ["Wool", "12", "x"]
    tokens, asked = word_tokens(tokenizer, words, "bidirectional")
    assert tokens == text_tokens(tokenizer, "Wool 12 x")
    # one token a byte here, so a space is a token of its own, which no word is asked at
    assert tokenizer.decode([tokens[place] for place in asked]) == "W1x"
    _, last = word_tokens(tokenizer, words, "causal")
    assert tokenizer.decode([tokens[place] for place in last]) == "l2x"


def test_what_is_too_long_is_refused_or_cut():
    assert fitting([1, 2, 3], 3, "a:1", "refuse") == [1, 2, 3]
    assert fitting([1, 2, 3], 2, "a:1", "cut") == [1, 2]
    with pytest.raises(InputError, match=r"a:1: 3 tokens.* at most 2"):
        fitting([1, 2, 3], 2, "a:1", "refuse")
