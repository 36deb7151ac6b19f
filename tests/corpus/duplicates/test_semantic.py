"""Pairs by meaning, held against all cosines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.duplicates.clusters import repeats_of
from textus.corpus.duplicates.config import SemanticConfig
from textus.corpus.duplicates.semantic import embeddings, semantic_pairs
from textus.errors import CorpusError


def letters(texts) -> np.ndarray:
    """An embedding that knows which letters are there."""
    return np.array([[text.count(letter) for letter in "abcdefgh"] for text in texts], np.float32)


def planted(rng: np.random.Generator, number: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Vectors around some topics; each of the second half is near one of the first."""
    topics = rng.normal(size=(20, 32))
    first = topics[rng.integers(0, 20, number)] + rng.normal(size=(number, 32))
    both = np.concatenate((first, first + 0.05 * rng.normal(size=first.shape))).astype(np.float32)
    return both / np.linalg.norm(both, axis=1, keepdims=True), [(n, n + number) for n in range(number)]


@given(st.integers(0, 40), st.sampled_from([0.3, 0.9]), st.integers(0, 5))
@settings(max_examples=40)
def test_all_pairs_are_found(number: int, threshold: float, seed: int) -> None:
    vectors, _ = planted(np.random.default_rng(seed), number)
    pairs, cosines = semantic_pairs(vectors, SemanticConfig(threshold=threshold))
    wanted = vectors @ vectors.T
    found = {tuple(pair): cosine for pair, cosine in zip(pairs.tolist(), cosines, strict=True)}
    for a in range(len(vectors)):
        for b in range(a + 1, len(vectors)):
            if abs(wanted[a, b] - threshold) > 1e-5:
                assert ((a, b) in found) == (wanted[a, b] >= threshold)
    assert all(found[a, b] == pytest.approx(wanted[a, b], abs=1e-5) for a, b in found)


def test_clusters_find_nearly_all_and_nothing_else() -> None:
    vectors, planted_pairs = planted(np.random.default_rng(0), 1500)
    exact, _ = semantic_pairs(vectors, SemanticConfig())
    config = SemanticConfig(exact_documents=100, cluster_documents=100)
    clustered, cosines = semantic_pairs(vectors, config)
    there, all_there = ({tuple(pair) for pair in pairs.tolist()} for pairs in (clustered, exact))
    assert there <= all_there and len(there) == len(clustered) and (cosines >= 0.95 - 1e-5).all()
    assert set(planted_pairs) <= all_there
    assert len(there & set(planted_pairs)) >= 0.98 * len(planted_pairs)
    again, _ = semantic_pairs(vectors, config)
    assert (again == clustered).all()
    dropped = repeats_of(clustered, cosines, np.arange(len(vectors))).documents
    assert len(dropped) >= 0.98 * 1500


def test_texts_become_directions() -> None:
    vectors = embeddings((text for text in ("ab", "aabb", "h", "...")), letters)
    pairs, cosines = semantic_pairs(vectors, SemanticConfig())
    assert pairs.tolist() == [[0, 1]] and cosines[0] == pytest.approx(1)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 0])
    assert len(semantic_pairs(embeddings([], letters), SemanticConfig())[0]) == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (np.zeros((1, 3)), "got an array of shape (1, 3)"),
        (np.zeros(2), "got an array of shape (2,)"),
        (np.array([[np.nan], [1]]), "(2, 1) with others"),
    ],
)
def test_wrong_embeddings_are_refused(answer, words: str) -> None:
    with pytest.raises(CorpusError, match="rows of finite numbers") as caught:
        embeddings(["a", "b"], lambda _: answer)
    assert words in str(caught.value)
