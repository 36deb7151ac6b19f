from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.deduplicate import ExactDuplicates, content_digest


@given(st.lists(st.text("ab \n", max_size=4), max_size=60))
def test_it_agrees_with_a_set(texts):
    duplicates, known = ExactDuplicates(), set()
    for text in texts:
        words = " ".join(text.split())
        assert duplicates.seen(text) == (words in known)
        known.add(words)
    assert len(duplicates) == len(known)
    assert all(content_digest(text) in duplicates for text in texts)


def test_it_remembers_through_growth_and_stays_small():
    duplicates = ExactDuplicates()
    assert not any(duplicates.seen(str(number)) for number in range(20_000))
    assert all(duplicates.seen(str(number)) for number in range(20_000))
    assert content_digest("not there") not in duplicates
    assert len(duplicates._table) <= 43 * 20_000
