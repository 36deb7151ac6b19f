from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.evaluation.tasks.asks import asks, cut, item_asks, prompts, windows
from textus.evaluation.tasks.item import Item, Option

WORDS = st.text(alphabet="the fox\n.é", max_size=12)


def text_of(tokenizer: Any, tokens: Any) -> str:
    return b"".join(map(tokenizer.token_bytes, tokens)).decode("utf-8", "replace")


@settings(max_examples=60)
@given(WORDS, st.lists(WORDS.filter(bool), min_size=1, max_size=3))
def test_the_text_is_whole_and_choices_are_asked_from_one_place(
    tokenizer: Any, context: str, answers: list[str]
) -> None:
    (group,) = asks(tokenizer, [[(context, answer) for answer in answers]])
    for ask, answer in zip(group, answers, strict=True):
        assert ask.tokens.tolist() == [tokenizer.end, *tokenizer.encode(context + answer)]
        assert 1 <= ask.asked < len(ask.tokens)
        given_text = text_of(tokenizer, ask.tokens[1 : ask.given])
        assert context.startswith(given_text) or "�" in given_text
    assert len({ask.given for ask in group}) == 1


def test_spaces_at_the_border_belong_to_the_answer(tokenizer: Any) -> None:
    (group,) = asks(tokenizer, [[("the quick ", "fox"), ("the quick ", "dog")]])
    assert [text_of(tokenizer, ask.tokens[ask.given :]) for ask in group] == [" fox", " dog"]
    (same,) = asks(tokenizer, [[("the quick", " fox"), ("the quick", " dog")]])
    assert [(a.tokens.tolist(), a.asked) for a in group] == [(a.tokens.tolist(), a.asked) for a in same]


def test_a_token_across_the_border_is_asked_of_all(tokenizer: Any) -> None:
    assert len(tokenizer.encode(" fox")) < len(tokenizer.encode(" f")) + len(tokenizer.encode("ox"))
    (group,) = asks(tokenizer, [[("the f", "ox"), ("the f", " dog")]])
    assert [text_of(tokenizer, ask.tokens[ask.given :]) for ask in group] == [" fox", " f dog"]


@pytest.mark.parametrize("shown", ["", "the fox\n\n", "the fox ", "\n"])
@pytest.mark.parametrize("context", ["the dog", " the dog", "", "\nthe dog"])
def test_examples_are_encoded_apart_only_where_that_changes_nothing(tokenizer: Any, shown: str, context: str) -> None:
    item = Item("", (Option(context, " ", "jumps"), Option(context, " ", "over it")), 0)
    (group,) = item_asks(tokenizer, [item], shown)
    (wanted,) = asks(tokenizer, [[(shown + context, one.continuation) for one in item.options]])
    assert [ask.tokens.tolist() for ask in group] == [ask.tokens.tolist() for ask in wanted]
    if context.strip():
        assert [ask.asked for ask in group] == [ask.asked for ask in wanted]
    (prompt,) = prompts(tokenizer, [context + " "], shown)
    assert prompt.tolist() == [tokenizer.end, *tokenizer.encode((shown + context).rstrip(" "))]


@settings(max_examples=30)
@given(st.integers(0, 40), st.integers(1, 9))
def test_windows_ask_each_token_once_from_as_much_as_there_is(tokenizer: Any, length: int, context: int) -> None:
    text = "".join(chr(ord("!") + number) for number in range(length))
    tokens = tokenizer.encode(text)
    found = windows(tokenizer, text, context)
    asked = [token for ask in found for token in ask.tokens[ask.given :].tolist()]
    assert asked == tokens
    for ask in found:
        assert len(ask.tokens) == min(len(tokens), context) + 1


def test_a_cut_leaves_the_end(tokenizer: Any) -> None:
    ((ask,),) = asks(tokenizer, [[("the quick brown", " fox jumps")]])
    short = cut(ask, ask.asked + 1)
    assert (short.tokens.tolist(), short.asked) == (ask.tokens[-ask.asked - 1 :].tolist(), ask.asked)
    assert cut(ask, 2).asked == 1 and cut(ask, 99) is ask
