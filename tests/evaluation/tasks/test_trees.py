"""Trees hold each text, show each token its own text and no other, and repeat nothing that is worth sharing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.evaluation.tasks.trees import batches, trees

TEXTS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=12)


def arrays(texts: list[list[int]]) -> list[np.ndarray]:
    return [np.array(text) for text in texts]


@given(TEXTS, st.sampled_from([0, 1, 20, 10_000]))
def test_every_text_is_there_once_and_sees_itself(texts: list[list[int]], worth: int) -> None:
    found = trees(arrays(texts), worth)
    assert sorted(number for tree in found for number in tree.texts) == list(range(len(texts)))
    for tree in found:
        sees = tree.sees
        for number, path in zip(tree.texts, tree.paths, strict=True):
            assert tree.tokens[path].tolist() == texts[number]
            assert tree.depths[path].tolist() == list(range(len(path)))
            for place, token in enumerate(path):
                assert np.flatnonzero(sees[token]).tolist() == sorted(path[: place + 1].tolist())


@given(TEXTS)
def test_what_is_cheap_enough_is_never_repeated(texts: list[list[int]]) -> None:
    beginnings = {tuple(text[:size]) for text in texts for size in range(1, len(text) + 1)}
    assert sum(len(tree.tokens) for tree in trees(arrays(texts), 10**6)) == len(beginnings)
    assert sum(len(tree.tokens) for tree in trees(arrays(texts), 0)) == sum(map(len, texts))


@given(TEXTS, st.integers(1, 40), st.integers(1, 400), st.integers(0, 5))
def test_batches_keep_to_their_size_and_lose_nothing(
    texts: list[list[int]], tokens: int, pairs: int, before: int
) -> None:
    grown = trees(arrays(texts), 9)
    found = list(batches(grown, before, tokens, pairs))
    assert [id(tree) for batch in found for tree in batch] == [id(tree) for tree in grown]
    for batch in found:
        width = max(len(tree.tokens) for tree in batch)
        assert len(batch) == 1 or sum(len(tree.tokens) for tree in batch) <= tokens
        assert len(batch) == 1 or len(batch) * width * (before + width) <= pairs


@pytest.mark.parametrize("count", [1, 300])
def test_a_tree_grows_no_wider_than_memory_allows(count: int) -> None:
    found = trees([np.array([*range(900), *[900 + number] * 20]) for number in range(count)], 10**9)
    assert max(len(tree.tokens) for tree in found) <= 2_048 and len(found) == -(-count // 57)
