"""Find the items of evaluation sets in the documents: looked up in each piece, then judged over all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from textus import storage
from textus.corpus.batch import TextBatch, batches
from textus.corpus.contamination.config import ContaminationConfig
from textus.corpus.contamination.index import Hits, ItemIndex, build_index, joined, probe
from textus.corpus.contamination.items import read_items
from textus.corpus.contamination.score import Matches, match, spans
from textus.corpus.steps.cuts import save_cuts
from textus.corpus.steps.measure import DOCUMENTS
from textus.corpus.steps.table import Measured
from textus.corpus.store import read_documents

SETS = "sets.json"
_HITS = "hits.npy"


@dataclass(frozen=True)
class Probe:
    """A piece whose documents are looked through for evaluation items."""

    piece: Measured
    config: ContaminationConfig
    identity: str
    """Tells these evaluation sets from others."""


def look_up(place: Path, payload: Probe) -> Mapping[str, Any]:
    """Write where the documents of a piece have n-grams of items."""
    index = _index(payload.config, payload.identity)
    parts: list[Hits] = []
    first = payload.piece.start
    for group in batches(read_documents(payload.piece.place, DOCUMENTS)):
        parts.append(probe(TextBatch([document.text for document in group]), index).shifted(first))
        first += len(group)
    hits = joined(parts)
    np.save(place / _HITS, np.stack((hits.texts, hits.starts, hits.ends, hits.grams), axis=1))
    return {"hits": len(hits)}


@dataclass(frozen=True)
class Judgement:
    """What is to be judged: the hits of all pieces."""

    probed: tuple[Path, ...]
    first: Path | None
    """Which documents stand for their exact duplicates, so that copies make no words common; none where
    copies stay."""
    documents: int
    config: ContaminationConfig
    identity: str


def judge(place: Path, payload: Judgement) -> Mapping[str, Any]:
    """Write which documents hold which items, how much of them, and the runs of words to cut out."""
    index = _index(payload.config, payload.identity)
    rows = np.concatenate([np.zeros((0, 4), np.int64), *(np.load(path / _HITS) for path in payload.probed)])
    if payload.first is not None:
        rows = rows[np.load(payload.first, mmap_mode="r")[rows[:, 0]]]
    hits = Hits(*rows.T)
    found = match(hits, index, payload.documents, payload.config)
    storage.write_json(place / SETS, _by_set(found, index))
    is_cut = payload.config.action == "cut"
    cut = zip(*(column.tolist() for column in spans(hits, found, index)), strict=True) if is_cut else ()
    return {"documents": len(np.unique(found.documents)), "cuts": save_cuts(place, cut)}


def notes(place: Path) -> dict[int, str]:
    """Return of each contaminated document what it holds, in words."""
    found: dict[int, str] = {}
    for document, words in storage.read_json(place / SETS)["documents"]:
        found.setdefault(document, words)
    return found


def _by_set(found: Matches, index: ItemIndex) -> dict[str, Any]:
    """Count by evaluation set, and say of each document what it holds."""
    documents: dict[str, set[int]] = {}
    items: dict[str, set[int]] = {}
    largest: Counter[str] = Counter()
    named = []
    for document, item, coverage in zip(found.documents.tolist(), found.items.tolist(), found.coverages, strict=True):
        held = index.items[item]
        documents.setdefault(held.set, set()).add(document)
        items.setdefault(held.set, set()).add(item)
        largest[held.set] = max(largest[held.set], round(float(coverage), 3))  # type: ignore[assignment]
        named.append((document, f"{coverage:.2f} of {held.set} {held.number}: {held.texts[0][:80]}"))
    sets = [(name, len(documents[name]), len(items[name]), largest[name]) for name in sorted(documents)]
    return {"sets": sets, "documents": named}


@lru_cache(1)
def _index(config: ContaminationConfig, identity: str) -> ItemIndex:
    """Read the evaluation sets once in a process."""
    return build_index(read_items(config.against), config)
