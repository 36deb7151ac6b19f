"""What goes by files is what goes in memory."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.duplicates.clusters import preference, repeats
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.duplicates.first_come import first_come
from textus.corpus.duplicates.verify import Overlaps
from textus.corpus.flat import Flat, write_flat

DOCUMENTS = 14
EDGES = st.lists(
    st.tuples(
        st.integers(0, DOCUMENTS - 1), st.integers(0, DOCUMENTS - 1), st.integers(6, 10), st.integers(10, 12)
    ).filter(lambda edge: edge[0] < edge[1]),
    max_size=40,
    unique_by=lambda edge: edge[:2],
)
STANDINGS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=DOCUMENTS, max_size=DOCUMENTS)


@pytest.mark.parametrize("config", [DuplicatesConfig(), DuplicatesConfig(threshold=0.6, containment=0.9)])
@given(EDGES, STANDINGS, st.sampled_from([1500, 1_000_000]), st.integers(1, 7))
@settings(max_examples=25, deadline=None)
def test_the_same_documents_go_for_the_same_others(config, edges, standings, memory, together) -> None:
    pairs = np.array([edge[:2] for edge in edges], np.int64).reshape(-1, 2)
    shared, sizes = (np.array([edge[side] for edge in edges], np.int64) for side in (2, 3))
    overlaps = Overlaps(shared, np.full(len(edges), 10), sizes)
    ranks, lengths = (np.array(side) for side in zip(*standings, strict=True))
    wanted = repeats(pairs, overlaps, preference(ranks, lengths), config)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "standing"
        with path.open("wb") as file:
            write_flat(file, (ranks * 10 + 9 - lengths).astype(np.uint64))
        parts = [slice(start, start + together) for start in range(0, len(edges), together)]
        some = ((pairs[part], Overlaps(shared[part], overlaps.first[part], sizes[part])) for part in parts)
        found = list(first_come(some, Flat(path, np.uint64), config, DOCUMENTS, Path(folder), memory))
        assert [other.name for other in Path(folder).iterdir()] == ["standing"]
    told = [row for block in found for row in zip(*(column.tolist() for column in block), strict=True)]
    scores = overlaps.jaccard[wanted.rows].tolist()
    assert told == list(zip(wanted.documents.tolist(), wanted.matches.tolist(), scores, strict=True))
