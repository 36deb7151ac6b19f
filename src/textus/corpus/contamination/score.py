"""Decide from hits alone which documents hold which items, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textus.corpus.batch import Index
from textus.corpus.contamination.config import ContaminationConfig
from textus.corpus.contamination.index import Hits, ItemIndex


@dataclass(frozen=True)
class Matches:
    """Documents and the items that they hold; columns of equal length, ordered by document and place."""

    documents: Index
    items: Index
    coverages: NDArray[np.float64]
    """Share of the item's n-grams that the document has, of the form of the item that it has most of."""
    starts: Index
    """The first word of the item in the document."""
    ends: Index
    """The word behind the last."""

    def __len__(self) -> int:
        return len(self.documents)


def match(hits: Hits, index: ItemIndex, num_documents: int, config: ContaminationConfig) -> Matches:
    """Say which documents have `threshold` of an item, counting only n-grams that are not common in the corpus.

    Coverage = (different n-grams of the item in the document) / (different n-grams of the item).
    """
    hits = _uncommon(hits, max(config.common_documents, config.common_share * num_documents))
    numbers = np.diff(index.offsets)[hits.grams]
    rows = np.repeat(np.arange(len(hits)), numbers)
    first = index.offsets[hits.grams] - np.concatenate([[0], np.cumsum(numbers)[:-1]]) if len(hits) else hits.grams
    forms = index.forms[np.repeat(first, numbers) + np.arange(len(rows))]
    documents, grams = hits.texts[rows], hits.grams[rows]
    order = np.lexsort((hits.starts[rows], grams, forms, documents))
    documents, grams, forms, rows = documents[order], grams[order], forms[order], rows[order]
    begins = np.flatnonzero(_changed(documents, forms))
    if not len(begins):
        return Matches(*(np.zeros(0, np.int64),) * 2, np.zeros(0), *(np.zeros(0, np.int64),) * 2)
    found = np.add.reduceat(_changed(documents, forms, grams).astype(np.int64), begins)
    coverages = found / index.form_grams[forms[begins]]
    starts = np.minimum.reduceat(hits.starts[rows], begins)
    ends = np.maximum.reduceat(hits.ends[rows], begins)
    is_match = coverages >= config.threshold
    return _best(
        documents[begins][is_match], index.form_items[forms[begins]][is_match], coverages[is_match],
        starts[is_match], ends[is_match],
    )  # fmt: skip


def spans(hits: Hits, matches: Matches, index: ItemIndex) -> tuple[Index, Index, Index]:
    """Return documents, first words and ends of the pieces to cut: the matched n-grams, joined where near.

    An item may stand in a document more than once; what lies between its pieces and is longer than an n-gram stays.
    """
    wanted = set(zip(matches.documents.tolist(), matches.items.tolist(), strict=True))
    pieces: list[list[int]] = []
    for row in np.flatnonzero(np.isin(hits.texts, matches.documents)).tolist():
        document, gram = int(hits.texts[row]), int(hits.grams[row])
        forms = index.forms[index.offsets[gram] : index.offsets[gram + 1]]
        if not any((document, item) in wanted for item in index.form_items[forms].tolist()):
            continue
        start, end = int(hits.starts[row]), int(hits.ends[row])
        if pieces and pieces[-1][0] == document and start <= pieces[-1][2] + index.size:
            pieces[-1][2] = max(pieces[-1][2], end)
        else:
            pieces.append([document, start, end])
    columns = np.array(pieces, np.int64).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]


def _uncommon(hits: Hits, most: float) -> Hits:
    """Leave out grams that more than `most` documents have."""
    order = np.lexsort((hits.texts, hits.grams))
    grams, texts = hits.grams[order], hits.texts[order]
    is_new = _changed(grams, texts)
    counts = np.bincount(grams[is_new], minlength=1)
    kept = counts[hits.grams] <= most
    return Hits(hits.texts[kept], hits.starts[kept], hits.ends[kept], hits.grams[kept])


def _best(documents: Index, items: Index, coverages: NDArray[np.float64], starts: Index, ends: Index) -> Matches:
    """Keep of each document and item the form that is covered best."""
    order = np.lexsort((-coverages, items, documents))
    first = order[_changed(documents[order], items[order])]
    first = first[np.lexsort((items[first], starts[first], documents[first]))]
    return Matches(documents[first], items[first], coverages[first], starts[first], ends[first])


def _changed(*columns: Index) -> NDArray[np.bool_]:
    changed = np.ones(len(columns[0]), bool)
    changed[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return changed
