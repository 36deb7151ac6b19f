"""Find documents that say the same in other words, by embeddings that a function given from above makes.

Up to some ten thousand documents each is compared with each. More are put into clusters of like meaning and compared
there only (SemDeDup, Abbas et al. 2023, arXiv 2303.09540), here in the two nearest ones, so that a border between two
clusters hides little. Pairs go to `clusters.repeats_of`: the same greedy rule as for near-duplicates. Run it after
those: n copies of one text are n² pairs here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index
from textus.corpus.duplicates.candidates import Pairs
from textus.corpus.duplicates.config import SemanticConfig
from textus.errors import CorpusError

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""From texts to rows of numbers, one row a text."""
Vectors = NDArray[np.float32]
_TEXTS = 256
_ROWS = 1024
_ROUNDS = 10
_LEARN_FROM = 64


def embeddings(texts: Iterable[str], embed: Embed) -> Vectors:
    """Return the embedding of each text, scaled to length 1; one of only zeros stays so and is like nothing.

    Raises `CorpusError` when `embed` does not give one row of finite numbers a text.
    """
    parts = [_checked(embed(group), len(group)) for group in _groups(texts)]
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def semantic_pairs(vectors: Vectors, config: SemanticConfig) -> tuple[Pairs, NDArray[np.float64]]:
    """Return pairs of rows whose cosine reaches the threshold, the lower number first, and their cosines.

    Rows have length 1. With more than `config.exact_documents` of them some pairs are missed.

    >>> found = semantic_pairs(np.array([[1, 0], [0, 1], [1, 0]], np.float32), SemanticConfig())
    >>> found[0].tolist(), found[1].tolist()
    ([[0, 2]], [1.0])
    """
    everything = np.arange(len(vectors))
    blocks: Iterable[Index] = [everything]
    if len(vectors) > config.exact_documents:
        blocks = _clusters(vectors, config)
    pairs, cosines = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for members in blocks:
        found, likeness = _within(vectors[members], config.threshold)
        pairs.append(members[found])
        cosines.append(likeness)
    together, scores = np.concatenate(pairs), np.concatenate(cosines)
    # A pair that shares two clusters was found twice; its cosines may differ in the last bit.
    _, first = np.unique(together, axis=0, return_index=True)
    return together[first], np.minimum(scores[first], 1.0)


def _groups(texts: Iterable[str]) -> Iterator[list[str]]:
    group: list[str] = []
    for text in texts:
        group.append(text)
        if len(group) == _TEXTS:
            yield group
            group = []
    if group:
        yield group


def _checked(rows: Vectors, wanted: int) -> Vectors:
    if rows.ndim != 2 or len(rows) != wanted or not np.isfinite(rows).all():
        raise CorpusError(
            f"embeddings of {wanted} texts must be as many rows of finite numbers; got an array of shape {rows.shape}"
            + (" with others" if rows.ndim == 2 and len(rows) == wanted else ""),
            hint="check the function that makes embeddings on a few texts",
        )
    rows = rows.astype(np.float32)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-30)))


def _within(vectors: Vectors, threshold: float) -> tuple[Pairs, NDArray[np.float64]]:
    """Compare each with each, some thousand rows at a time."""
    pairs, cosines = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for start in range(0, len(vectors), _ROWS):
        likeness = vectors[start : start + _ROWS] @ vectors[start:].T
        rows, columns = np.nonzero(likeness >= threshold - 1e-6)
        above = columns > rows
        rows, columns = rows[above], columns[above]
        pairs.append(np.stack((rows, columns), axis=1) + start)
        cosines.append(likeness[rows, columns].astype(np.float64))
    return np.concatenate(pairs), np.concatenate(cosines)


def _clusters(vectors: Vectors, config: SemanticConfig) -> Iterator[Index]:
    """Yield the members of each cluster, in order; a row is a member of `config.assignments` of them."""
    centres = _centres(vectors, -(-len(vectors) // config.cluster_documents), config.seed)
    number = min(config.assignments, len(centres))
    nearest = np.concatenate(
        [
            np.argpartition(-(vectors[start : start + _ROWS] @ centres.T), number - 1, axis=1)[:, :number]
            for start in range(0, len(vectors), _ROWS)
        ]
    )
    order = np.argsort(nearest.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(nearest.ravel(), minlength=len(centres)))
    yield from np.split(order // number, ends[:-1])


def _centres(vectors: Vectors, number: int, seed: int) -> Vectors:
    """Learn centres by spherical k-means on a sample; one that loses all its rows stays where it was."""
    rng = np.random.default_rng(seed)
    sample = vectors[np.sort(rng.permutation(len(vectors))[: number * _LEARN_FROM])]
    centres = sample[rng.permutation(len(sample))[:number]]
    for _ in range(_ROUNDS):
        nearest = np.concatenate(
            [np.argmax(sample[start : start + _ROWS] @ centres.T, axis=1) for start in range(0, len(sample), _ROWS)]
        )
        order = np.argsort(nearest, kind="stable")
        taken, starts = np.unique(nearest[order], return_index=True)
        sums = np.add.reduceat(sample[order], starts, axis=0)
        centres[taken] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.float32(1e-30))
    return centres
