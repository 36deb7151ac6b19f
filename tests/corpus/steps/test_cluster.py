"""Clusters by files are those in memory."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.duplicates.clusters import clusters
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.sorting import Cursor
from textus.corpus.steps.cluster import find_clusters

DOCUMENTS = 15
PAIRS = st.lists(
    st.tuples(st.integers(0, DOCUMENTS - 1), st.integers(0, DOCUMENTS - 1)).filter(lambda pair: pair[0] < pair[1]),
    max_size=25,
)
CONTENTS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(0, 1), st.just("a"), st.integers(1, 9)),
    min_size=DOCUMENTS,
    max_size=DOCUMENTS,
)


@given(PAIRS, CONTENTS, st.sampled_from([0.1, 0.3, 1.0]), st.sampled_from([2000, 1_000_000]))
@settings(max_examples=12, deadline=None)
def test_labels_keys_and_sizes_are_those_of_all_documents_together(pieces_of, pairs, rows, largest, memory) -> None:
    joined = np.array(pairs, np.int64).reshape(-1, 2)
    keys = np.array([row[:2] for row in rows], np.uint64)
    first = [next(at for at, other in enumerate(rows) if other[:2] == row[:2]) for row in rows]
    copies = np.array([(at, own) for at, own in enumerate(first) if own != at], np.int64).reshape(-1, 2)
    config = DuplicatesConfig(largest_cluster=largest)
    wanted = clusters(joined, keys, np.array([row[3] for row in rows]), config)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        pieces = pieces_of(root, [rows[:4], rows[4:5], rows[5:]])
        (root / "scratch").mkdir()
        edges = [(some[:, 0], some[:, 1]) for some in (joined, copies)]
        found = find_clusters(iter(edges), pieces, largest, root / "scratch", memory)
        cursor = Cursor(found.rows)
        told = [found.of(piece, cursor.up_to(piece.stop)) for piece in pieces]
    assert np.concatenate([one.labels for one in told]).tolist() == wanted.labels.tolist()
    assert np.concatenate([one.keys for one in told], axis=1).T.tolist() == wanted.keys.tolist()
    assert np.concatenate([one.oversized for one in told]).tolist() == wanted.oversized.tolist()
    assert found.count == wanted.count
    assert found.largest == np.bincount(wanted.labels).max()
