"""Bits are a set of numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.bits import Bits

COUNT = 45
NUMBERS = st.lists(st.integers(0, COUNT - 1), max_size=30)


@given(st.lists(st.tuples(st.booleans(), NUMBERS), max_size=6), st.integers(0, COUNT), st.integers(0, COUNT))
def test_what_is_put_in_and_taken_out_is_what_a_set_holds(changes, one, other):
    bits, wanted = Bits(COUNT), set()
    for is_added, numbers in changes:
        (bits.add if is_added else bits.remove)(np.array(numbers, np.int64))
        wanted = wanted | set(numbers) if is_added else wanted - set(numbers)
    every = np.arange(COUNT)
    assert np.flatnonzero(bits[every]).tolist() == sorted(wanted)
    assert bits[every.reshape(5, 9)].tolist() == bits[every].reshape(5, 9).tolist()
    start, stop = sorted((one, other))
    assert bits.part(start, stop).tolist() == bits[every[start:stop]].tolist()
    assert bits.count() == len(wanted)


def test_bits_that_were_saved_are_read_without_being_held(tmp_path):
    bits = Bits(COUNT)
    bits.add(np.array([3, 44]))
    np.save(tmp_path / "bits.npy", bits.bytes)
    assert Bits.read(tmp_path / "bits.npy").part(0, COUNT).tolist() == bits.part(0, COUNT).tolist()
