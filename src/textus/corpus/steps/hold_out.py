"""Choose which documents are held out, and say how much of them stands in training all the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from textus.corpus.config import CorpusConfig
from textus.corpus.duplicates.clusters import Clusters
from textus.corpus.split import TEST, VALIDATION, How, by_document
from textus.corpus.steps.ledger import Ledger
from textus.corpus.steps.near import Edges
from textus.corpus.steps.table import Measured, Whole


def hold_out(
    pieces: Sequence[Measured], whole: Whole, groups: Clusters, ledger: Ledger, edges: Edges, config: CorpusConfig
) -> tuple[How, dict[str, Any]]:
    """Set the split of every document that is kept; return how it was chosen, and the leakage."""
    kept = np.flatnonzero(ledger.is_kept)
    shares = {VALIDATION: config.validation_fraction, TEST: config.test_fraction}
    if config.validation:
        ledger.split[whole.held_out] = VALIDATION
        free = kept[~whole.held_out[kept]]
        ledger.split[free] = by_document(groups.keys[free], whole.num_bytes[free], {TEST: config.test_fraction})
        return "given", {}
    num_parts = 1 + sum(share > 0 for share in shares.values())
    if len(np.unique(groups.labels[kept])) < max(config.minimum_split_documents, num_parts):
        return "tails", {}
    ledger.split[kept] = by_document(groups.keys[kept], whole.num_bytes[kept], shares)
    return "documents", {}
