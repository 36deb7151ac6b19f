"""Who is joined by files is joined in memory."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.duplicates.clusters import components
from textus.corpus.duplicates.linked import linked

DOCUMENTS = 20
PAIRS = st.lists(
    st.tuples(st.integers(0, DOCUMENTS - 1), st.integers(0, DOCUMENTS - 1)).filter(lambda pair: pair[0] != pair[1]),
    max_size=40,
)


def labels(pairs: np.ndarray, documents: int, folder: Path, memory: int, together: int = 7) -> list[int]:
    parts = (pairs[start : start + together].T for start in range(0, len(pairs), together))
    rows = linked(((first, second) for first, second in parts), folder, memory)
    found, last = list(range(documents)), -1
    for block in rows:
        for packed in block[0].tolist():
            assert packed >> 32 > last  # in order, each once
            last = packed >> 32
            assert found[last] > packed & 0xFFFFFFFF
            found[last] = packed & 0xFFFFFFFF
    return found


@given(PAIRS, st.sampled_from([500, 1500, 1_000_000]))
@settings(max_examples=25, deadline=None)
def test_labels_are_those_of_walking(pairs, memory) -> None:
    rows = np.array(pairs, np.int64).reshape(-1, 2)
    with TemporaryDirectory() as folder:
        assert labels(rows, DOCUMENTS, Path(folder), memory) == components(rows, DOCUMENTS).tolist()


@pytest.mark.parametrize("shape", ["chain", "star", "cliques"])
def test_large_shapes_end_in_few_rounds(tmp_path: Path, shape: str) -> None:
    count = 3000
    order = np.random.default_rng(0).permutation(count)
    chain = np.stack((order[:-1], order[1:]), axis=1)
    star = np.stack((np.full(count - 1, order[0]), order[1:]), axis=1)
    members = np.arange(count)
    cliques = np.concatenate([np.stack((members, members // 30 * 30 + step), axis=1) for step in range(30)])
    pairs = {"chain": chain, "star": star, "cliques": cliques[cliques[:, 0] != cliques[:, 1]]}[shape]
    found = labels(pairs, count, tmp_path, 300_000, together=500)
    assert found == (components(pairs, count).tolist())
    assert not found[-1] or shape == "cliques"
