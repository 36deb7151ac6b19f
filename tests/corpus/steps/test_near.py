"""Candidate pairs on disk, a range at a time, held against all of them at once."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.bits import Bits
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.duplicates.candidates import merged
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.pipeline import build_from
from textus.corpus.steps import near
from textus.corpus.steps.near import Alike, cut, join

DOCUMENTS = 12
PAIRS = st.lists(
    st.tuples(st.integers(0, DOCUMENTS - 1), st.integers(0, DOCUMENTS - 1)).filter(lambda pair: pair[0] < pair[1]),
    max_size=30,
)


def as_rows(pairs: list[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, np.int64).reshape(-1, 2)


def save(place: Path, pairs: np.ndarray) -> Path:
    place.mkdir()
    (pairs[:, 0].astype(np.uint64) << np.uint64(32) | pairs[:, 1].astype(np.uint64)).tofile(place / "pairs.u64")
    return place


@given(st.lists(PAIRS, max_size=4), st.sampled_from([1, 3, 1000]), st.sampled_from([1e-6, 3e-4, 1.0]))
@settings(max_examples=40)
def test_pairs_of_all_bands_are_joined_once_whatever_is_looked_at_together(parts, many, megabytes) -> None:
    wanted = merged(as_rows(part) for part in parts)
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "_MANY", many)
        root = Path(folder)
        found = [save(root / str(number), merged([as_rows(part)])) for number, part in enumerate(parts)]
        place = root / "pairs"
        place.mkdir()
        assert join(place, (found, DOCUMENTS)) == {"pairs": len(wanted)}
        packed = np.fromfile(place / "pairs.u64", np.uint64)
        assert [[int(pair) >> 32, int(pair) & 0xFFFFFFFF] for pair in packed] == wanted.tolist()
        in_pairs = Bits.read(place / "in_pairs.npy").part(0, DOCUMENTS)
        assert np.flatnonzero(in_pairs).tolist() == sorted(set(wanted.ravel().tolist()))
        # Every document has as many runs as its number says.
        spelt = root / "spelt"
        spelt.mkdir()
        np.save(spelt / "rows.npy", np.flatnonzero(in_pairs))
        np.save(spelt / "offsets.npy", np.concatenate(([0], np.cumsum(np.flatnonzero(in_pairs)))))
        ranges = cut(place, [spelt], megabytes)
        assert [number for start, stop in ranges for number in range(start, stop)] == list(range(len(wanted)))
        costs = 4 * wanted.sum(axis=1) + 64
        for start, stop in ranges:
            assert stop - start == 1 or costs[start:stop].sum() < 1e6 * megabytes + costs.max()


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9), st.integers(1, 9)), max_size=20),
    st.integers(1, 5),
    st.integers(1, 9),
)
@settings(max_examples=40)
def test_edges_are_the_pairs_that_some_threshold_may_ask_for(counts, size, at_once) -> None:
    rows = np.array([(min(shared, one, other), one, other) for shared, one, other in counts], np.int32).reshape(-1, 3)
    pairs = np.array([(0, number + 1) for number in range(len(rows))], np.int64).reshape(-1, 2)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        place, compared = save(root / "pairs", pairs), []
        for number, start in enumerate(range(0, len(rows), size)):
            compared.append(root / str(number))
            compared[-1].mkdir()
            np.save(compared[-1] / "overlaps.npy", rows[start : start + size])
        for config in (DuplicatesConfig(), DuplicatesConfig(threshold=0.4), DuplicatesConfig(containment=0.6)):
            found = Alike(place, tuple(compared), config, at_once)
            wanted = [
                (tuple(pair), tuple(row))
                for pair, row in zip(pairs.tolist(), rows.tolist(), strict=True)
                if row[0] / (row[1] + row[2] - row[0]) >= min(config.threshold, config.related)
                or 0 < config.containment <= row[0] / min(row[1:])
            ]
            told = []
            for edges in found:
                columns = (edges.overlaps.shared, edges.overlaps.first, edges.overlaps.second)
                told += zip(
                    map(tuple, edges.pairs.tolist()), zip(*(one.tolist() for one in columns), strict=True), strict=True
                )
            assert told == wanted
            assert len(found) == len(rows)


def test_what_is_looked_at_together_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, found = random.Random(0), []
    for number in range(120):
        words = found[number // 2].split() if number % 3 == 2 else [f"w{draw.randrange(400)}" for _ in range(60)]
        words[draw.randrange(len(words))] = "edited"
        found.append(" ".join(words))
    documents = [Document(text, str(number)) for number, text in enumerate(found)]
    trees = []
    for many in (near._MANY, 3):
        monkeypatch.setattr(near, "_MANY", many)
        corpus = build_from(documents, "key", tmp_path / str(many), CorpusConfig())
        assert "dropped: near duplicate" in corpus.report().text()
        trees.append({path.name: path.read_bytes() for path in sorted(corpus.directory.iterdir())})
    assert trees[0] == trees[1]
