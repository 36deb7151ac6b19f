"""Rows come back in order, whatever fits into memory."""

import tracemalloc
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.sorting import Cursor, Sorter, as_bits, as_floats, starts_of, whole

ROWS = st.lists(st.tuples(*(st.integers(0, 3) for _ in range(3))), max_size=60)
FLOATS = st.floats(allow_nan=False)


@given(ROWS, st.integers(1, 3), st.sampled_from([0, 200, 600, 10_000]), st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_rows_are_sorted_by_their_keys_and_none_is_lost(rows, keys, memory, together):
    with TemporaryDirectory() as folder:
        sorter = Sorter(Path(folder), columns=3, keys=keys, memory_bytes=memory)
        table = np.array(rows, np.int64).reshape(-1, 3)
        for start in range(0, len(table), together):
            sorter.append(*table[start : start + together].T)
        for _ in range(2):  # as often as is asked
            blocks = list(sorter)
            assert all(block.shape[1] for block in blocks)
            found = [tuple(row) for block in blocks for row in block.T.tolist()]
            assert sorted(found) == sorted(rows)
            assert [row[:keys] for row in found] == sorted(row[:keys] for row in rows)
        assert len(sorter) == len(rows)
        next(iter(sorter), None)  # or not to the end
        sorter.append(np.array([9]), 9, 9)  # and then goes on
        assert sum(block.shape[1] for block in sorter) == len(rows) + 1
        sorter.discard()
        assert not list(sorter) and not list(Path(folder).iterdir())


@given(ROWS, st.lists(st.integers(0, 5), max_size=6))
def test_a_cursor_hands_every_row_out_once(rows, stops):
    with TemporaryDirectory() as folder:
        sorter = Sorter(Path(folder), columns=3, keys=1, memory_bytes=200)
        sorter.append(*np.array(rows, np.int64).reshape(-1, 3).T)
        cursor, start = Cursor(sorter), 0
        for stop in [*sorted(stops), 4]:
            found = [row for block in cursor.up_to(stop) for row in block[0].tolist()]
            assert found == sorted(row[0] for row in rows if start <= row[0] < stop)
            start = max(start, stop)


@given(ROWS, st.integers(1, 9))
def test_what_is_cut_anew_is_all_there_and_whole(rows, together):
    table = np.array(sorted(rows), np.uint64).reshape(-1, 3).T
    parts = (table[:, start : start + together] for start in range(0, table.shape[1], together))
    found = list(whole(parts))
    assert np.concatenate([table[:, :0], *found], axis=1).tolist() == table.tolist()
    firsts = [set(part[0].tolist()) for part in found]
    assert all(firsts) and sum(map(len, firsts)) == len(set().union(*firsts))


def test_no_more_is_in_memory_than_was_allowed(tmp_path):
    memory, draw = 400_000, np.random.default_rng(0)
    sorter = Sorter(tmp_path, columns=2, keys=2, memory_bytes=memory)
    parts = [draw.integers(0, 2**63, 1000) for _ in range(200)]  # 3.2 MB of rows
    tracemalloc.start()
    for part in parts:
        sorter.append(part, 7)
    last, count = np.zeros(1, np.uint64), 0
    for block in sorter:
        assert last[-1] <= block[0, 0] and (block[0, 1:] >= block[0, :-1]).all()
        last, count = block[0, -1:].copy(), count + block.shape[1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == len(sorter) == 200_000
    assert peak < 1.5 * memory


@given(st.lists(FLOATS, min_size=1, max_size=20))
def test_bits_are_in_the_order_of_floats_and_come_back(values):
    floats = np.array(values)
    bits = as_bits(floats)
    assert (as_floats(bits) == floats).all()
    order = np.argsort(bits, kind="stable")
    assert all(one <= other for one, other in pairwise(floats[order].tolist()))
    assert len(set(bits.tolist())) == len(np.unique(floats))


def test_starts_are_where_a_key_differs_from_the_one_before():
    keys = np.array([[1, 1, 2, 2], [5, 5, 5, 6]], np.uint64)
    assert starts_of(keys, None).tolist() == [True, False, True, True]
    assert starts_of(keys, (1, 5)).tolist() == [False, False, True, True]
