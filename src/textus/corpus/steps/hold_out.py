"""Choose which documents are held out, and take from training what is nearly like them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.config import CorpusConfig
from textus.corpus.duplicates.clusters import Clusters
from textus.corpus.duplicates.leakage import straddling
from textus.corpus.split import TEST, TRAIN, VALIDATION, How, by_document, divide
from textus.corpus.steps.ledger import Ledger
from textus.corpus.steps.measure import DOCUMENTS
from textus.corpus.steps.near import Edges
from textus.corpus.steps.table import Measured, Whole
from textus.corpus.store import document_files, read_columns

NEARLY_HELD_OUT = "nearly a held-out document"


def hold_out(
    pieces: Sequence[Measured], whole: Whole, clusters: Clusters, ledger: Ledger, edges: Edges, config: CorpusConfig
) -> How:
    """Set the split of every document that is kept; return how it was chosen."""
    how = _how(ledger, clusters, config)
    if how == "tails":
        return how
    kept = np.flatnonzero(ledger.is_kept)
    shares = {VALIDATION: config.validation_fraction, TEST: config.test_fraction}
    sizes = whole.num_bytes
    if how == "given":
        ledger.split[whole.held_out] = VALIDATION
        free = kept[~whole.held_out[kept]]
        ledger.split[free] = by_document(clusters.keys[free], sizes[free], {TEST: config.test_fraction})
    else:
        values = list(_values(pieces, kept, config.split.field)) if config.split.field else []
        stays = clusters.oversized[kept]
        ledger.split[kept] = divide(config.split, clusters.keys[kept], sizes[kept], shares, values, stays)
    if config.deduplicate != "near":
        return how  # nobody is to leave for being nearly like another: the leakage is measured, and told
    # Clusters stand on one side; groups, times and given files know nothing of likeness.
    among = edges.where(np.asarray(ledger.is_kept[edges.pairs].all(axis=1)))
    is_held_out = ledger.split != TRAIN
    found = np.zeros(len(ledger), bool)
    found[straddling(among.pairs, among.overlaps, is_held_out, config.duplicates.related)] = True
    ledger.drop(found, NEARLY_HELD_OUT)
    return how


def _how(ledger: Ledger, clusters: Clusters, config: CorpusConfig) -> How:
    if config.validation:
        return "given"
    if config.split.how == "group":
        return "group"
    if config.split.how == "time":
        return "time"
    parts = 1 + (config.validation_fraction > 0) + (config.test_fraction > 0)
    contents = len(np.unique(clusters.labels[ledger.is_kept]))
    return "tails" if contents < max(config.minimum_split_documents, parts) else "documents"


def _values(pieces: Sequence[Measured], kept: NDArray[np.int64], field: str) -> Iterator[Any]:
    """Yield what some documents have under a key."""
    wanted = np.zeros(pieces[-1].stop, bool)
    wanted[kept] = True
    for piece in pieces:
        metas = (meta for path in document_files(piece.place, DOCUMENTS) for (meta,) in read_columns(path, "meta"))
        for take, meta in zip(wanted[piece.start : piece.stop], metas, strict=True):
            if take:
                yield json.loads(meta).get(field)
