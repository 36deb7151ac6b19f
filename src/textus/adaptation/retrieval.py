"""How well the passages that answer queries are found: by vectors, and by BM25 beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from textus.adaptation.measures import Measure, ratio

DEPTH = 100
"""Passages that are looked at for each query."""
_FIRST = 10
_AT_ONCE = 1 << 26
"""Similarities in memory at a time."""
ABSENT = "BM25 is left out: bm25s is not installed (pip install 'textus[heads]')."


def of_ranking(ranking: Sequence[Sequence[int]], relevant: Sequence[Mapping[int, int]]) -> dict[str, Measure]:
    """Return nDCG@10 and recall@100 of the passages' numbers in the order in which they were found.

    nDCG divides the sum of `grade / log2(rank + 1)` over the first ten by the highest that there can be (Järvelin and
    Kekäläinen 2002; with the grade itself for the gain, as trec_eval does). Errors are over queries.

    >>> found = of_ranking([[3, 1, 2]], [{1: 1, 2: 1}])
    >>> round(found["ndcg_at_10"].value, 4), found["recall_at_100"].value
    (0.6934, 1.0)
    """
    gains = np.array([_ndcg(found, wanted) for found, wanted in zip(ranking, relevant, strict=True)])
    recalls = np.array(
        [len(set(found[:DEPTH]) & set(wanted)) / len(wanted) for found, wanted in zip(ranking, relevant, strict=True)]
    )
    ones = np.ones(len(gains))
    return {"ndcg_at_10": ratio(gains, ones), "recall_at_100": ratio(recalls, ones)}


def nearest(
    queries: Float[Tensor, "queries hidden"], passages: Float[Tensor, "passages hidden"], depth: int = DEPTH
) -> list[list[int]]:
    """Return for each query the numbers of the passages whose vectors are nearest, the nearest first."""
    depth, rows = min(depth, len(passages)), max(1, _AT_ONCE // len(passages))
    found: list[list[int]] = []
    for part in torch.split(queries, rows):
        found += torch.topk(part @ passages.T, depth, dim=1).indices.tolist()
    return found


def by_words(queries: Sequence[str], passages: Sequence[str], depth: int = DEPTH) -> list[list[int]] | None:
    """Return the same by BM25 (Robertson et al. 1994) with the library's defaults, None where it is not installed."""
    if find_spec("bm25s") is None:
        return None
    import bm25s

    index = bm25s.BM25()
    index.index(bm25s.tokenize(list(passages), stopwords="en", show_progress=False), show_progress=False)
    asked = bm25s.tokenize(list(queries), stopwords="en", show_progress=False)
    found, _ = index.retrieve(asked, k=min(depth, len(passages)), show_progress=False)
    ranked: list[list[int]] = np.asarray(found).tolist()
    return ranked


def _ndcg(found: Sequence[int], wanted: Mapping[int, int]) -> float:
    best = _gain(sorted(wanted.values(), reverse=True))
    return _gain([wanted.get(passage, 0) for passage in found]) / best


def _gain(grades: Sequence[int]) -> float:
    return math.fsum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades[:_FIRST], 1))
