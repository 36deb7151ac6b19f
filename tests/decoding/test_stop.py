import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.decoding.stop import StopFilter
from textus.errors import ConfigError

WORDS = st.text("ab", max_size=6)


def cut_whole(text: str, stops: list[str]) -> tuple[str, bool]:
    """Look at every end of the text in turn: the specification, written as a search."""
    for end in range(len(text) + 1):
        ends = [stop for stop in stops if text[:end].endswith(stop)]
        if ends:
            return text[: end - max(map(len, ends))], True
    return text, False


@given(st.lists(WORDS, max_size=12), st.lists(st.text("ab", min_size=1, max_size=5), max_size=3))
def test_pieces_give_what_the_whole_gives(pieces, stops):
    stop = StopFilter(stops)
    out = "".join(stop.push(piece) for piece in pieces) + stop.flush()
    assert (out, stop.stopped) == cut_whole("".join(pieces), stops)


@given(st.lists(WORDS, max_size=12), st.lists(st.text("ab", min_size=1, max_size=5), max_size=3))
def test_what_was_let_out_is_right_at_every_moment_and_no_more_is_held_than_needed(pieces, stops):
    stop, out, given_so_far = StopFilter(stops), "", ""
    for piece in pieces:
        given_so_far += piece
        out += stop.push(piece)
        assert cut_whole(given_so_far, stops)[0].startswith(out)
        held = given_so_far[len(out) :]
        assert stop.stopped or not held or any(text.startswith(held) for text in stops)


def test_nothing_comes_after_a_stop():
    stop = StopFilter(["x"])
    assert (stop.push("axb"), stop.push("c"), stop.flush()) == ("a", "", "")


def test_without_stops_everything_passes_at_once():
    assert StopFilter([]).push("text") == "text"


@pytest.mark.parametrize("stops", [[""], "text", ["a", ""]])
def test_stops_that_mean_nothing_are_refused(stops):
    with pytest.raises(ConfigError, match="stop"):
        StopFilter(stops)
