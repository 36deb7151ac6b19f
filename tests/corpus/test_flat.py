"""A column on disk is the array that was written."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus import flat
from textus.corpus.flat import Flat, write_flat, write_header


@given(st.lists(st.integers(0, 49), max_size=40), st.sampled_from([1, 7, 1000]))
def test_places_are_found_in_any_order_and_more_than_once(tmp_path_factory, places, block):
    values = np.random.default_rng(0).integers(0, 2**63, 50).astype(np.uint64)
    path = tmp_path_factory.mktemp("flat") / "column"
    with path.open("wb") as file:
        write_flat(file, values[:20])
        write_flat(file, values[20:])
    before, flat._BLOCK = flat._BLOCK, block
    try:
        found = Flat(path, np.uint64).take(np.array(places, np.int64))
    finally:
        flat._BLOCK = before
    assert found.tolist() == values[places].tolist()
    assert Flat(path, np.uint64).part(18, 23).tolist() == values[18:23].tolist()


def test_what_follows_a_header_is_read_by_numpy(tmp_path):
    with (tmp_path / "some.npy").open("wb") as file:
        write_header(file, (3,), bool)
        write_flat(file, np.array([True, False]))
        write_flat(file, np.array([True]))
    assert np.load(tmp_path / "some.npy", mmap_mode="r").tolist() == [True, False, True]
