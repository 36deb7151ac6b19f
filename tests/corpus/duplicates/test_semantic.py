"""What means the same, held against all cosines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.duplicates import semantic
from textus.corpus.duplicates.clusters import repeats_of
from textus.corpus.duplicates.config import SemanticConfig
from textus.corpus.duplicates.semantic import embedded, random_cosines, semantic_repeats
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


@given(st.integers(0, 40), st.sampled_from([0.3, 0.9]), st.integers(0, 5), st.sampled_from([1, 7, 1024]), st.randoms())
@settings(max_examples=60)
def test_what_is_dropped_is_what_the_greedy_rule_drops_of_all_pairs(number, threshold, seed, block, random) -> None:
    vectors, _ = planted(np.random.default_rng(seed), number)
    places = np.array(random.sample(range(len(vectors)), len(vectors)), np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(semantic, "_ROWS", block)
        patch.setattr(semantic, "_COLUMNS", 2 * block)
        found = semantic_repeats(vectors, places, SemanticConfig(threshold=threshold))
    cosines = vectors @ vectors.T if number else np.zeros((0, 0))
    if (np.abs(cosines - threshold) < 1e-5).any():
        return  # the last bit decides
    pairs = np.argwhere(np.triu(cosines >= threshold, 1))
    wanted = repeats_of(pairs, cosines[tuple(pairs.T)].astype(np.float64), places)
    assert found.documents.tolist() == wanted.documents.tolist()
    assert np.isin(found.matches, found.documents).sum() == 0
    for document, match, cosine in zip(found.documents, found.matches, found.cosines, strict=True):
        assert places[match] < places[document]
        assert cosine == pytest.approx(min(1, cosines[document, match]), abs=1e-5)
        kept = [n for n in range(len(vectors)) if n not in found.documents and places[n] < places[document]]
        assert cosine == pytest.approx(min(1, cosines[document, kept].max()), abs=1e-5)


def test_clusters_drop_nearly_all_and_nothing_else() -> None:
    vectors, planted_pairs = planted(np.random.default_rng(0), 1500)
    places = np.arange(len(vectors))
    config = SemanticConfig(exact_documents=100, cluster_documents=100)
    clustered = semantic_repeats(vectors.astype(np.float16), places, config)
    exact = semantic_repeats(vectors, places, SemanticConfig())
    assert (clustered.cosines >= 0.95 - 1e-3).all() and not np.isin(clustered.matches, clustered.documents).any()
    there = set(clustered.documents.tolist())
    assert len(there - set(exact.documents.tolist())) <= 0.02 * len(there)
    assert len(there & {second for _, second in planted_pairs}) >= 0.98 * len(planted_pairs)
    again = semantic_repeats(vectors.astype(np.float16), places, config)
    assert (again.documents == clustered.documents).all() and (again.matches == clustered.matches).all()


def test_many_that_are_alike_leave_one_and_no_list_of_pairs() -> None:
    same = np.tile(np.array([[0.6, 0.8]], np.float32), (30_000, 1))
    for config in (SemanticConfig(exact_documents=100_000), SemanticConfig()):
        found = semantic_repeats(same, np.arange(len(same)), config)
        assert len(found.documents) == len(same) - 1 and not found.matches.any()


def test_texts_become_directions() -> None:
    vectors = embedded(["ab", "aabb", "h", "..."], letters)
    found = semantic_repeats(vectors, np.arange(4), SemanticConfig())
    assert found.documents.tolist() == [1] and found.cosines[0] == pytest.approx(1)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 0])
    none = semantic_repeats(np.zeros((0, 1), np.float16), np.zeros(0, np.int64), SemanticConfig())
    assert len(none.documents) == 0


def test_pairs_by_chance_are_pairs_of_two() -> None:
    vectors = np.eye(5, dtype=np.float32)
    assert random_cosines(vectors, 100, 0).tolist() == [0.0] * 100
    assert len(random_cosines(vectors[:1], 100, 0)) == 0


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
        embedded(["a", "b"], lambda _: answer)
    assert words in str(caught.value)
