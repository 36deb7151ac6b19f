"""Which documents go and which belong together, held against the definitions."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.duplicates.clusters import clusters, components, preference, repeats, repeats_of
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.duplicates.verify import Overlaps

DOCUMENTS = 12
EDGES = st.lists(
    st.tuples(st.integers(0, DOCUMENTS - 1), st.integers(0, DOCUMENTS - 1)).filter(lambda pair: pair[0] < pair[1]),
    max_size=30,
    unique=True,
)
ORDERS = st.permutations(range(DOCUMENTS))


def as_pairs(edges: list[tuple[int, int]]) -> np.ndarray:
    return np.array(edges, np.int64).reshape(-1, 2)


@given(EDGES, ORDERS, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_kept_documents_are_no_pair_and_dropped_ones_have_a_better_kept_match(edges, order, random) -> None:
    places = np.argsort(order)
    scores = np.array([random.choice([0.8, 0.9, 1.0]) for _ in edges])
    found = repeats_of(as_pairs(edges), scores, places)
    dropped = set(found.documents.tolist())
    assert not any({a, b}.isdisjoint(dropped) for a, b in edges)
    for document, match, row in zip(
        *(part.tolist() for part in (found.documents, found.matches, found.rows)), strict=True
    ):
        assert {document, match} == set(edges[row]) and match not in dropped and places[match] < places[document]
        rivals = [
            score
            for (a, b), score in zip(edges, scores, strict=True)
            if document in (a, b) and (other := a + b - document) not in dropped and places[other] < places[document]
        ]
        assert scores[row] == max(rivals)
    kept: list[int] = []
    for document in order:  # the definition
        if not any({document, other} == set(edge) for edge in edges for other in kept):
            kept.append(document)
    assert set(kept) == set(range(DOCUMENTS)) - dropped


@given(EDGES)
@settings(max_examples=40)
def test_components_are_those_of_walking(edges) -> None:
    neighbours = {node: {node} for node in range(DOCUMENTS)}
    for a, b in edges:
        neighbours[a].add(b)
        neighbours[b].add(a)
    wanted = []
    for node in range(DOCUMENTS):
        reached, fresh = {node}, {node}
        while fresh:
            fresh = set().union(*(neighbours[one] for one in fresh)) - reached
            reached |= fresh
        wanted.append(min(reached))
    assert components(as_pairs(edges), DOCUMENTS).tolist() == wanted


def test_a_long_chain_is_one_component() -> None:
    order = np.random.default_rng(0).permutation(20_000)
    chain = np.sort(np.stack((order[:-1], order[1:]), axis=1), axis=1)
    assert not components(chain, 20_000).any()


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=20))
@settings(max_examples=40)
def test_preference_is_by_priority_then_length_then_order(documents) -> None:
    priorities, lengths = (np.array([pair[side] for pair in documents], np.int64) for side in (0, 1))
    wanted = sorted(range(len(documents)), key=lambda one: (documents[one][0], -documents[one][1], one))
    assert np.argsort(preference(priorities, lengths)).tolist() == wanted


def test_chains_drop_only_what_was_compared_with_a_kept_document() -> None:
    chain = np.array([[0, 1], [1, 2], [2, 3], [3, 4]])
    same = Overlaps(np.full(4, 9), np.full(4, 10), np.full(4, 10))
    found = repeats(chain, same, np.arange(5), DuplicatesConfig())
    assert (found.documents.tolist(), found.matches.tolist(), found.rows.tolist()) == ([1, 3], [0, 2], [0, 2])


def test_pairs_below_the_threshold_drop_nothing() -> None:
    overlaps = Overlaps(np.array([8, 7]), np.array([9, 9]), np.array([9, 9]))  # 0.8, 0.64
    found = repeats(np.array([[0, 1], [2, 3]]), overlaps, np.arange(4), DuplicatesConfig(threshold=0.8))
    assert found.documents.tolist() == [1]


def test_a_short_document_inside_a_long_one_goes_unless_it_is_preferred() -> None:
    pairs, overlaps = np.array([[0, 1]]), Overlaps(np.array([9]), np.array([10]), np.array([100]))
    inside = DuplicatesConfig(containment=0.9)
    lengths = np.array([10, 100])
    assert repeats(pairs, overlaps, preference(np.zeros(2, int), lengths), inside).documents.tolist() == [0]
    assert repeats(pairs, overlaps, preference(np.array([1, 0]), lengths), inside).documents.tolist() == [0]
    assert repeats(pairs, overlaps, preference(np.array([0, 1]), lengths), inside).documents.tolist() == []
    assert len(repeats(pairs, overlaps, np.array([1, 0]), DuplicatesConfig()).documents) == 0


@given(EDGES, st.lists(st.integers(0, 5), min_size=DOCUMENTS, max_size=DOCUMENTS), st.permutations(range(DOCUMENTS)))
@settings(max_examples=40)
def test_clusters_share_a_key_that_no_order_changes(edges, contents, order) -> None:
    keys = np.array([[content, 0] for content in contents], np.uint64)
    config, sizes = DuplicatesConfig(largest_cluster=1.0), np.ones(DOCUMENTS, np.int64)
    found = clusters(as_pairs(edges), keys, sizes, config)
    assert not found.oversized.any()
    for a in range(DOCUMENTS):
        for b in range(DOCUMENTS):
            joined = found.labels[a] == found.labels[b]
            assert joined or contents[a] != contents[b]
            assert bool((found.keys[a] == found.keys[b]).all()) == joined
    assert all(found.labels[a] == found.labels[b] for a, b in edges)
    moved = np.argsort(order)
    again = clusters(moved[as_pairs(edges)], keys[list(order)], sizes, config)
    assert (again.keys[moved] == found.keys).all()
    assert found.count == again.count


def test_a_cluster_above_its_share_is_marked_but_never_a_single_document() -> None:
    keys = np.arange(8, dtype=np.uint64).reshape(-1, 2)
    found = clusters(np.array([[0, 1]]), keys, np.array([30, 30, 1, 39]), DuplicatesConfig(largest_cluster=0.5))
    assert found.oversized.tolist() == [True, True, False, False]
    assert not clusters(as_pairs([]), keys[:0], np.zeros(0, np.int64), DuplicatesConfig()).oversized.size
