"""Choose which documents are held out, and take from training what is nearly like them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.bits import Bits
from textus.corpus.config import CorpusConfig
from textus.corpus.duplicates.leakage import straddling
from textus.corpus.sorting import Cursor, Sorter
from textus.corpus.split import TEST, TRAIN, VALIDATION, How
from textus.corpus.split_config import SplitConfig
from textus.corpus.steps.cluster import Clusters, Grouped
from textus.corpus.steps.ledger import Ledger
from textus.corpus.steps.measure import DOCUMENTS
from textus.corpus.steps.near import Alike
from textus.corpus.steps.shares import Candidates
from textus.corpus.steps.table import Measured
from textus.corpus.store import document_files, read_columns

NEARLY_HELD_OUT = "nearly a held-out document"


class HeldOut:
    """Which documents that are kept are held out, and how that was chosen."""

    def __init__(self, how: How, rows: Sorter) -> None:
        self.how, self._rows = how, rows

    def splits(self, pieces: Sequence[Measured]) -> Iterator[NDArray[np.int8]]:
        """Yield the splits of each piece's documents; what was given stands for validation, kept or not."""
        cursor = Cursor(self._rows)
        for piece in pieces:
            given = self.how == "given" and piece.held_out
            splits = np.full(piece.stop - piece.start, VALIDATION if given else TRAIN, np.int8)
            for numbers, chosen in cursor.up_to(piece.stop):
                splits[numbers.astype(np.int64) - piece.start] = chosen
            yield splits


def hold_out(
    pieces: Sequence[Measured],
    clusters: Clusters,
    ledger: Ledger,
    config: CorpusConfig,
    folder: Path,
    memory_bytes: int,
) -> HeldOut:
    """Choose the split of every document that is kept."""
    how, rows = _how(pieces, clusters, ledger, config), Sorter(folder, 2, 1, memory_bytes // 4)
    if how == "tails":
        return HeldOut(how, rows)
    shares = {VALIDATION: config.validation_fraction, TEST: config.test_fraction}
    given = how == "given"
    asked = SplitConfig() if given else config.split
    candidates = Candidates(asked, folder, memory_bytes // 2)
    for piece, grouped, is_kept in _kept(pieces, clusters, ledger):
        kept = np.flatnonzero(is_kept)
        if given and piece.held_out:
            continue
        sizes = piece.columns(("bytes",))["bytes"][kept].astype(np.int64)
        stays = np.zeros(len(kept), bool) if given else grouped.oversized[kept]
        values = list(compress(_values(piece, asked.field), is_kept.tolist())) if asked.field else []
        candidates.add(kept + piece.start, grouped.keys[:, kept], sizes, stays, values)
    for numbers, splits in candidates.chosen({TEST: config.test_fraction} if given else shares):
        rows.append(numbers, splits)
    return HeldOut(how, rows)


def drop_straddling(
    pieces: Sequence[Measured], found: HeldOut, edges: Alike, ledger: Ledger, config: CorpusConfig
) -> None:
    """Drop from training what is nearly like a document that is held out.

    Clusters stand on one side; groups, times and given files know nothing of likeness.
    """
    if found.how == "tails" or config.deduplicate != "near":
        return  # nobody is to leave for being nearly like another: the leakage is measured, and told
    is_held_out = Bits(len(ledger))
    for piece, splits in zip(pieces, found.splits(pieces), strict=True):
        is_held_out.add(piece.start + np.flatnonzero(splits != TRAIN))
    for some in edges:
        among = some.where(np.asarray(ledger.kept[some.pairs].all(axis=1)))
        sides = is_held_out[among.pairs]
        ledger.drop(straddling(among.pairs, among.overlaps, sides, config.duplicates.related), NEARLY_HELD_OUT)


def _kept(
    pieces: Sequence[Measured], clusters: Clusters, ledger: Ledger
) -> Iterator[tuple[Measured, Grouped, NDArray[np.bool_]]]:
    cursor = Cursor(clusters.rows)
    for piece in pieces:
        yield piece, clusters.of(piece, cursor.up_to(piece.stop)), ledger.kept.part(piece.start, piece.stop)


def _how(pieces: Sequence[Measured], clusters: Clusters, ledger: Ledger, config: CorpusConfig) -> How:
    if config.validation:
        return "given"
    if config.split.how == "group":
        return "group"
    if config.split.how == "time":
        return "time"
    parts = 1 + (config.validation_fraction > 0) + (config.test_fraction > 0)
    needed, contents = max(config.minimum_split_documents, parts), np.zeros(0, np.int64)
    for _, grouped, is_kept in _kept(pieces, clusters, ledger):
        contents = np.union1d(contents, grouped.labels[is_kept])
        if len(contents) >= needed:
            return "documents"
    return "tails"


def _values(piece: Measured, field: str) -> Iterator[Any]:
    """Yield what the documents of a piece have under a key; where they come from is known of all."""
    for path in document_files(piece.place, DOCUMENTS):
        for meta, source in read_columns(path, "meta", "source"):
            yield json.loads(meta).get(field, source if field == "source" else None)
