import pytest

from textus.decoding import words
from textus.errors import ConfigError
from textus.tokenizer.tokenizer import END


def test_a_token_is_named_by_id_by_name_or_by_its_text(tokenizer):
    (the,) = tokenizer.encode(" the")
    assert words.token_of(tokenizer, " the", "stop_tokens") == the
    assert words.token_of(tokenizer, str(the), "stop_tokens") == the
    assert words.token_of(tokenizer, END, "stop_tokens") == tokenizer.end


@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [
        ("<|endoftex|>", "is 1?[0-9] tokens, not one", END),
        ("two words", "not one", "special tokens here"),
        ("", "is 0 tokens", "special tokens here"),
        ("99999", "no token 99999", "the model knows tokens 0 to"),
    ],
)
def test_an_unknown_stop_token_is_refused(tokenizer, word, message, hint):
    with pytest.raises(ConfigError, match=message) as caught:
        words.stop_tokens(tokenizer, [word])
    assert hint in caught.value.hint


def test_biases_are_read(tokenizer):
    (colon,) = tokenizer.encode(":")
    assert words.biases(tokenizer, ["7:-5", "::2.5"]) == {7: -5.0, colon: 2.5}


@pytest.mark.parametrize("items", [["7"], ["7:"], ["7:nan"], ["7:inf"], [":3"], ["7:much"], ["7:1", "7:2"]])
def test_what_is_no_bias_is_refused(tokenizer, items):
    with pytest.raises(ConfigError, match="logit_bias"):
        words.biases(tokenizer, items)


def test_a_bad_word_is_forbidden_with_and_without_a_space(tokenizer):
    assert words.spellings(tokenizer, ["fox"]) == (tuple(tokenizer.encode("fox")), tuple(tokenizer.encode(" fox")))
    with pytest.raises(ConfigError, match="empty"):
        words.spellings(tokenizer, [""])


def test_breakers_hold_a_mark(tokenizer):
    found = words.breakers(tokenizer)
    assert set(tokenizer.encode('\n:"*')) <= set(found)
    assert not set(tokenizer.encode("fox")) & set(found)
