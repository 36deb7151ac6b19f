import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.decoding.chat import Layout, Message, fit
from textus.errors import ConfigError


def talk(*words, system=""):
    roles = ("user", "assistant")
    turns = [Message(roles[place % 2], word) for place, word in enumerate(words)]
    return ([Message("system", system)] if system else []) + turns


def test_turns_are_written_one_after_another():
    text = Layout().prompt(talk("Hi", "Hello.", "Who?", system="Be brief."))
    assert text == "Be brief.\n\nUser: Hi\nAssistant: Hello.\nUser: Who?\nAssistant:"
    assert Layout().stop == ("\nUser:", "\nAssistant:")


@pytest.mark.parametrize(
    "messages",
    [[], talk("a", "b"), [Message("assistant", "a")], [*talk("a"), *talk("b")], [*talk("a"), Message("system", "x")]],
)
def test_turns_out_of_order_are_refused(messages):
    with pytest.raises(ConfigError, match="the turns are"):
        Layout().prompt(messages)


def test_a_layout_without_a_place_for_the_words_is_refused():
    with pytest.raises(ConfigError, match="`user` does not hold"):
        Layout(user="User:")
    with pytest.raises(ConfigError, match="`role` must be"):
        Message("robot", "beep")


@given(st.integers(0, 5), st.integers(0, 300), st.booleans())
def test_the_oldest_exchanges_go_first_and_no_more_than_needed(exchanges, room, has_system):
    words = [f"word {number}" for number in range(2 * exchanges + 1)]
    messages = talk(*words, system="Be kind." if has_system else "")
    kept, dropped = fit(messages, Layout(), len, room)
    first = int(has_system)
    assert kept == messages[:first] + messages[first + 2 * dropped :]
    assert len(Layout().prompt(kept)) <= room or len(kept) == first + 1
    if dropped:
        longer = messages[:first] + messages[first + 2 * (dropped - 1) :]
        assert len(Layout().prompt(longer)) > room
