"""Two ways of counting from place to place agree."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.filters.feature import count_at, count_true


@given(st.lists(st.booleans(), max_size=300), st.data())
def test_counting_bits_is_counting_places(values: list[bool], data: st.DataObject) -> None:
    mask = np.array(values, bool)
    starts = np.array([0, *sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=6))), len(values)])
    assert count_true(mask, starts).tolist() == count_at(np.flatnonzero(mask), starts).tolist()
