"""Find documents that say the same in other words, by embeddings that a function given from above makes.

Documents are taken in the order of keeping, a block at a time, and each is compared with those kept before it: the
greedy rule of near-duplicates, without a list of all pairs, of which n like texts have n². Up to some ten thousand
documents each is compared with each. More are put into clusters of like meaning and compared there only (SemDeDup,
Abbas et al. 2023, arXiv 2303.09540), here in the two nearest ones, so that a border between two hides little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index
from textus.corpus.duplicates.clusters import repeats_of
from textus.corpus.duplicates.config import SemanticConfig
from textus.errors import CorpusError

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""From texts to rows of numbers, one row a text."""
Vectors = NDArray[np.float32]
Stored = NDArray[np.float16] | Vectors
"""Rows of length 1, or of zeros; they may be a file mapped into memory."""
_ROWS, _COLUMNS = 1024, 16_384
"""How many rows are compared with how many at once: 64 MB of cosines."""
_ROUNDS = 10
_LEARN_FROM = 64
_SAMPLE_BYTES = 256_000_000
_ROUNDING = 1e-6
_LEAST = np.float32(1e-30)


@dataclass(frozen=True)
class Alike:
    """The documents to drop, each with the kept one that it is most like."""

    documents: Index
    matches: Index
    cosines: NDArray[np.float64]


def embedded(texts: Sequence[str], embed: Embed) -> Vectors:
    """Return the embedding of each text, scaled to length 1; one of only zeros stays so and is like nothing.

    Raises `CorpusError` when `embed` does not give one row of finite numbers a text.
    """
    rows = embed(texts)
    if rows.ndim != 2 or len(rows) != len(texts) or not np.isfinite(rows).all():
        raise CorpusError(
            f"embeddings of {len(texts)} texts must be as many rows of finite numbers; got an array of shape "
            f"{rows.shape}" + (" with others" if rows.ndim == 2 and len(rows) == len(texts) else ""),
            hint="check the function that makes embeddings on a few texts",
        )
    return scaled(rows.astype(np.float32))


def scaled(rows: Vectors) -> Vectors:
    """Scale rows to length 1; those of zeros stay."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _LEAST))


def semantic_repeats(vectors: Stored, places: Index, config: SemanticConfig) -> Alike:
    """Go through rows in the order of `places`, keep each that is like none kept so far, drop the others.

    Two rows are alike when their cosine reaches the threshold. With more than `config.exact_documents` rows some that
    are alike stay.

    >>> found = semantic_repeats(np.array([[1, 0], [0, 1], [1, 0]], np.float32), np.arange(3), SemanticConfig())
    >>> found.documents.tolist(), found.matches.tolist(), found.cosines.tolist()
    ([2], [0], [1.0])
    """
    in_order = np.argsort(places, kind="stable")
    groups: Iterable[Index] = [in_order]
    if len(vectors) > config.exact_documents:
        groups = _clusters(vectors, in_order, config)
    pairs, cosines = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for members in groups:
        dropped, kept, likeness = _greedy(vectors, members, config.threshold)
        pairs.append(np.stack((kept, dropped), axis=1))
        cosines.append(likeness)
    # A document may stay in one cluster and go in another, so that each has to be asked once more.
    together, scores = np.concatenate(pairs), np.concatenate(cosines)
    found = repeats_of(together, scores, places)
    return Alike(found.documents, found.matches, scores[found.rows])


def random_cosines(vectors: Stored, pairs: int, seed: int) -> NDArray[np.float32]:
    """Return the cosines of some pairs drawn by chance, in order: what likeness means nothing with this model."""
    if len(vectors) < 2:
        return np.zeros(0, np.float32)
    rng = np.random.default_rng(seed)
    first = rng.integers(0, len(vectors), pairs)
    second = (first + rng.integers(1, len(vectors), pairs)) % len(vectors)
    return np.sort((_rows(vectors, first) * _rows(vectors, second)).sum(axis=1))


def _rows(vectors: Stored, which: Index) -> Vectors:
    return np.asarray(vectors[which], np.float32)


def _greedy(vectors: Stored, members: Index, threshold: float) -> tuple[Index, Index, NDArray[np.float64]]:
    """Return which members are like one kept before them, the one that each is most like, and how much."""
    kept: list[Vectors] = []
    kept_members: list[Index] = []
    dropped, matches, cosines = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    least = threshold - _ROUNDING
    for start in range(0, len(members), _ROWS):
        part = members[start : start + _ROWS]
        rows = _rows(vectors, part)
        best, match = np.full(len(part), -np.inf, np.float32), np.full(len(part), -1)
        for others, numbers in zip(kept, kept_members, strict=True):
            _improve(best, match, rows @ others.T, numbers)
        inside, is_kept = rows @ rows.T, np.zeros(len(part), bool)
        # Whether one goes depends on whether those before it went: the one loop here, over the rows of a block.
        for row in range(len(part)):
            if best[row] < least:
                is_kept[row] = True
                better = inside[row, row + 1 :] > best[row + 1 :]
                best[row + 1 :][better], match[row + 1 :][better] = inside[row, row + 1 :][better], part[row]
        dropped.append(part[~is_kept])
        matches.append(match[~is_kept])
        cosines.append(np.minimum(best[~is_kept].astype(np.float64), 1.0))
        _add(kept, kept_members, rows[is_kept], part[is_kept])
    return np.concatenate(dropped), np.concatenate(matches), np.concatenate(cosines)


def _improve(best: Vectors, match: Index, cosines: Vectors, numbers: Index) -> None:
    """Note of each row which of some others it is most like, if more than what it had; of equal ones the first."""
    columns = cosines.argmax(axis=1)
    values = cosines[np.arange(len(cosines)), columns]
    better = values > best
    best[better], match[better] = values[better], numbers[columns[better]]


def _add(kept: list[Vectors], kept_members: list[Index], rows: Vectors, numbers: Index) -> None:
    """Put rows to the others, in arrays of about `_COLUMNS`."""
    if kept and len(kept[-1]) + len(rows) <= _COLUMNS:
        kept[-1] = np.concatenate((kept[-1], rows))
        kept_members[-1] = np.concatenate((kept_members[-1], numbers))
    elif len(rows):
        kept.append(rows)
        kept_members.append(numbers)


def _clusters(vectors: Stored, in_order: Index, config: SemanticConfig) -> Iterator[Index]:
    """Yield the members of each cluster, in order; a row is a member of `config.assignments` of them."""
    centres = _centres(vectors, -(-len(vectors) // config.cluster_documents), config.seed)
    number = min(config.assignments, len(centres))
    nearest = np.concatenate(
        [
            np.argpartition(
                -(_rows(vectors, in_order[start : start + _ROWS]) @ centres.T), number - 1, axis=1
            )[:, :number].astype(np.int32)
            for start in range(0, len(in_order), _ROWS)
        ]
    )  # fmt: skip
    order = np.argsort(nearest.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(nearest.ravel(), minlength=len(centres)))
    for members in np.split(order // number, ends[:-1]):
        yield in_order[members]


def _centres(vectors: Stored, number: int, seed: int) -> Vectors:
    """Learn centres by spherical k-means on a sample; one that loses all its rows stays where it was."""
    rng = np.random.default_rng(seed)
    most = max(number, min(number * _LEARN_FROM, _SAMPLE_BYTES // (4 * vectors.shape[1])))
    sample = _rows(vectors, np.sort(rng.permutation(len(vectors))[:most]))
    centres = sample[rng.permutation(len(sample))[:number]]
    for _ in range(_ROUNDS):
        nearest = np.concatenate(
            [np.argmax(sample[start : start + _ROWS] @ centres.T, axis=1) for start in range(0, len(sample), _ROWS)]
        )
        order = np.argsort(nearest, kind="stable")
        taken, starts = np.unique(nearest[order], return_index=True)
        centres[taken] = scaled(np.add.reduceat(sample[order], starts, axis=0))
    return centres
