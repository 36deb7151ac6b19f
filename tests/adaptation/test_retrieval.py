import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.adaptation import retrieval
from textus.adaptation.retrieval import by_words, nearest, of_ranking


@settings(max_examples=30)
@given(st.integers(2, 30), st.randoms())
def test_ndcg_is_that_of_scikit_learn(size, draw):
    metrics = pytest.importorskip("sklearn.metrics")
    grades = [draw.choice([0, 0, 1, 2]) for _ in range(size)]
    if not any(grades):
        grades[0] = 1
    order = list(range(size))
    draw.shuffle(order)
    found = of_ranking([order], [{place: grade for place, grade in enumerate(grades) if grade}])
    scores = np.empty(size)
    scores[order] = np.arange(size, 0, -1)
    assert found["ndcg_at_10"].value == pytest.approx(metrics.ndcg_score([grades], [scores], k=10))
    assert found["recall_at_100"].value == 1


def test_what_is_not_found_is_missed():
    found = of_ranking([[5, 6], [1, 2]], [{1: 1, 5: 1}, {9: 1}])
    assert found["recall_at_100"].value == 0.25
    assert 0 < found["ndcg_at_10"].value < 0.5


def test_the_nearest_are_found_whatever_is_in_memory_at_once(monkeypatch):
    vectors = torch.nn.functional.normalize(torch.randn(40, 8, generator=torch.Generator().manual_seed(1)), dim=1)
    alike = vectors[:7] @ vectors.T
    wanted = [sorted(range(40), key=lambda place: -float(row[place]))[:5] for row in alike]
    assert nearest(vectors[:7], vectors, 5) == wanted
    monkeypatch.setattr(retrieval, "_AT_ONCE", 80)
    assert nearest(vectors[:7], vectors, 5) == wanted


def test_bm25_finds_the_words():
    pytest.importorskip("bm25s")
    passages = ["wool and linen cloth", "a red loom", "threads of grey wool"]
    found = by_words(["red loom", "grey threads"], passages)
    assert [ranking[0] for ranking in found] == [1, 2]
    assert sorted(found[0]) == [0, 1, 2]


def test_without_the_library_there_is_no_bm25(monkeypatch):
    monkeypatch.setattr(retrieval, "find_spec", lambda name: None)
    assert by_words(["a"], ["a"]) is None
