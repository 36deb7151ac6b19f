"""Equal texts have equal digests, whatever white space is between their words."""

import hashlib
import sys

from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.deduplicate import content_digest

WHITE_SPACE = "".join(chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace())


@given(st.lists(st.text("ab \n\u3000", max_size=4), max_size=60))
def test_digests_are_as_equal_as_the_words(texts):
    assert len({content_digest(text) for text in texts}) == len({tuple(text.split()) for text in texts})


@given(st.text(st.one_of(st.sampled_from("ab" + WHITE_SPACE), st.characters())))
def test_it_is_the_digest_of_the_words_with_a_space_between(text):
    words = " ".join(text.split()).encode("utf-8", "surrogatepass")
    assert content_digest(text) == hashlib.blake2b(words, digest_size=16).digest()


def test_all_white_space_is_one():
    assert content_digest(WHITE_SPACE.join(["", "to", "be", ""])) == content_digest("to be")
