from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(0, 9), min_size=1, max_size=9), st.data())
def test_several_files_read_as_one(make_split, lengths, data):
    one = make_split(lengths)
    several = make_split(lengths, data.draw(st.integers(1, len(lengths) + 2)))
    assert (several.num_tokens, several.num_documents, several.num_bytes) == (
        sum(lengths) + 2 * len(lengths),
        len(lengths),
        3 * sum(lengths),
    )
    assert several.offsets.tolist() == one.offsets.tolist()
    assert several.document_bytes.tolist() == one.document_bytes.tolist()
    assert several.data_fingerprint == one.data_fingerprint
    start = data.draw(st.integers(0, one.num_tokens))
    stop = data.draw(st.integers(start, one.num_tokens))
    assert several.tokens(start, stop).tolist() == one.tokens(start, stop).tolist()
    positions = np.array(data.draw(st.lists(st.integers(0, one.num_tokens - 1))), np.int64)
    assert several.take(positions).tolist() == one.take(positions).tolist()


def test_a_document_is_its_text_between_two_ends(make_split):
    split = make_split([2, 0, 3], files=2)
    assert [split.document(index).tolist() for index in range(3)] == [[0, 1, 2, 0], [0, 0], [0, 3, 4, 5, 0]]
    assert (split.vocab_size, split.tokenizer_fingerprint) == (1 << 16, "tokenizer")
