from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.document import Document


@given(st.text())
def test_size_is_that_of_utf8(text):
    assert Document(text, "x").num_bytes == len(text.encode())


def test_the_id_is_of_the_text_alone():
    assert Document("a", "x").id == Document("a", "y", {"k": 1}).id != Document("b", "x").id
    assert len(Document("a", "x").id) == 32


def test_lone_surrogates_have_an_id_and_a_size():
    assert Document("\ud800", "x").id != Document("\ud801", "x").id
    assert Document("\ud800", "x").num_bytes == 3
