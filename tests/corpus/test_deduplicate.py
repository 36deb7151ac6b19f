"""Equal texts have equal digests, whatever white space is between their words."""

from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.deduplicate import content_digest


@given(st.lists(st.text("ab \n\u3000", max_size=4), max_size=60))
def test_digests_are_as_equal_as_the_words(texts):
    assert len({content_digest(text) for text in texts}) == len({tuple(text.split()) for text in texts})
