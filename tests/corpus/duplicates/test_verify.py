"""What pairs have in common, held against Python's sets."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.duplicates import verify
from textus.corpus.duplicates.verify import overlaps, shingle_sets

TEXTS = st.lists(st.text(st.sampled_from("ab \n.漢"), max_size=60), min_size=2, max_size=7)


def runs_of(text: str, size: int) -> set[tuple[int, ...]]:
    """The runs of words by the definition."""
    words = TextBatch([text]).word_hashes.tolist()
    return {tuple(words[start : start + size]) for start in range(max(1, len(words) - size + 1))} if words else set()


@given(TEXTS, st.integers(1, 6), st.sampled_from([1, 7, 1 << 20]))
@settings(max_examples=40)
def test_overlaps_are_those_of_sets(texts: list[str], words: int, block: int) -> None:
    shingles, offsets = shingle_sets(TextBatch(texts), words)
    sets = [runs_of(text, words) for text in texts]
    assert np.diff(offsets).tolist() == [len(part) for part in sets]
    pairs = np.array(list(combinations(range(len(texts)), 2)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "_BLOCK", block)
        found = overlaps(pairs, shingles, offsets)
    for row, (a, b) in enumerate(pairs.tolist()):
        shared, either = len(sets[a] & sets[b]), len(sets[a] | sets[b])
        smaller = min(len(sets[a]), len(sets[b]))
        assert found.jaccard[row] == (shared / either if either else 0)
        assert found.containment[row] == (shared / smaller if smaller else 0)


def test_sets_are_sorted_and_read_from_a_mapped_file(tmp_path) -> None:
    shingles, offsets = shingle_sets(TextBatch(["one two three four five six " * 3, "", "one two"]))
    assert all((np.diff(part.astype(np.int64)) > 0).all() for part in np.split(shingles, offsets[1:-1]) if len(part))
    np.save(tmp_path / "shingles.npy", shingles)
    pairs = np.array([[0, 1], [0, 2], [1, 2]])
    mapped = overlaps(pairs, np.load(tmp_path / "shingles.npy", mmap_mode="r"), offsets)
    assert mapped.shared.tolist() == overlaps(pairs, shingles, offsets).shared.tolist() == [0, 0, 0]


def test_no_pairs_have_no_overlaps() -> None:
    assert len(overlaps(np.zeros((0, 2), np.int64), *shingle_sets(TextBatch([])))) == 0
    assert len(shingle_sets(TextBatch([]))[0]) == 0
