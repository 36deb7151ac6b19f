"""Pairs of equal keys: all of a small group, a linear number of a large one, the same however ranges are cut."""

from __future__ import annotations

import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.duplicates.candidates import candidate_pairs, merged, num_ranges, range_of
from textus.corpus.duplicates.clusters import components
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.duplicates.minhash import NO_KEY
from textus.errors import CorpusError

KEYS = st.lists(st.sampled_from([1, 5, 2**63, 2**64 - 2, 2**64 - 1]), max_size=40)


@given(KEYS, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_small_groups_are_paired_each_with_each(keys: list[int], random) -> None:
    documents = random.sample(range(1000), len(keys))
    found = candidate_pairs(np.array(keys, np.uint64), np.array(documents, np.int64), DuplicatesConfig(all_pairs=64))
    wanted = sorted(
        tuple(sorted((documents[a], documents[b])))
        for a, b in combinations(range(len(keys)), 2)
        if keys[a] == keys[b] != int(NO_KEY)
    )
    assert [tuple(pair) for pair in found.tolist()] == wanted


@given(KEYS, st.integers(1, 5), st.sampled_from([2, 4, 64]))
@settings(max_examples=25)
def test_ranges_together_give_what_one_gives(keys: list[int], ranges: int, all_pairs: int) -> None:
    config = DuplicatesConfig(all_pairs=all_pairs, hubs=2)
    values, documents = np.array(keys, np.uint64), np.arange(len(keys))
    where = range_of(values, ranges)
    assert ((where >= 0) & (where < ranges)).all() and (np.diff(where[np.argsort(values)]) >= 0).all()
    parts = [candidate_pairs(values[where == part], documents[where == part], config) for part in range(ranges)]
    assert (merged(parts) == candidate_pairs(values, documents, config)).all()


@pytest.mark.parametrize("hubs", [1, 8, 1000])
def test_a_large_group_is_paired_linearly_and_stays_joined(hubs: int) -> None:
    documents = np.random.default_rng(0).permutation(500)
    pairs = candidate_pairs(np.full(500, 3, np.uint64), documents, DuplicatesConfig(all_pairs=32, hubs=hubs))
    assert len(pairs) <= 500 * (min(hubs, 500) + 1)
    assert (np.bincount(pairs.ravel(), minlength=500) >= min(hubs, 499)).all()
    assert not components(pairs, 500).any()


def test_a_document_is_not_paired_with_itself() -> None:
    assert len(candidate_pairs(np.array([1, 1], np.uint64), np.array([7, 7]), DuplicatesConfig())) == 0


@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2**32 - 1)), max_size=6), max_size=4))
@settings(max_examples=40)
def test_merged_pairs_are_there_once_in_order(parts) -> None:
    found = merged([np.array(part, np.int64).reshape(-1, 2) for part in parts])
    assert [tuple(pair) for pair in found.tolist()] == sorted({pair for part in parts for pair in part})


def test_ranges_bound_memory() -> None:
    assert num_ranges(0, 10**9) == num_ranges(1000, 10**9) == 1
    assert num_ranges(10**9, 2 * 10**9) == 54


def test_pairing_stays_within_what_ranges_are_planned_with() -> None:
    rng, number, memory = np.random.default_rng(0), 200_000, 4_000_000
    keys = rng.integers(0, 2**63, number, dtype=np.uint64)
    keys[: number // 5] = keys[rng.integers(0, number // 15, number // 5)]  # a fifth of them in groups of some
    where = range_of(keys << np.uint64(1), num_ranges(number, memory))
    for part in range(num_ranges(number, memory)):
        tracemalloc.start()
        candidate_pairs(keys[where == part], np.flatnonzero(where == part), DuplicatesConfig())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < memory


def test_too_many_documents_are_refused() -> None:
    with pytest.raises(CorpusError, match="more than near-duplicates"):
        candidate_pairs(np.array([1], np.uint64), np.array([2**32]), DuplicatesConfig())
