"""Decide on every document, from measures alone: which stay, why the others go, and who is held out.

Nothing is read here but columns and pairs, so that changing a threshold costs seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus import storage
from textus.corpus.config import CorpusConfig
from textus.corpus.duplicates.clusters import clusters, preference, repeats
from textus.corpus.duplicates.semantic import Alike
from textus.corpus.filters.config import FilterConfig
from textus.corpus.filters.profiles import verdicts
from textus.corpus.privacy.config import KINDS
from textus.corpus.privacy.find import is_dropped
from textus.corpus.steps.decontaminate import SETS, notes
from textus.corpus.steps.exact import ranks, representatives
from textus.corpus.steps.hold_out import hold_out
from textus.corpus.steps.ledger import Ledger
from textus.corpus.steps.meaning import facts_of, read_alike
from textus.corpus.steps.near import Edges, read_edges
from textus.corpus.steps.score import read_scores
from textus.corpus.steps.table import Measured, Whole, gather
from textus.errors import CorpusError

DECISIONS, SUMMARY = "decisions.parquet", "summary.json"
ALSO_HELD_OUT = "also in the validation part"
DUPLICATE, NEAR, ALIKE = "duplicate", "near duplicate", "same in other words"
_WEB = FilterConfig(profile="web")


@dataclass(frozen=True)
class Case:
    """All that the decision is made of."""

    pieces: tuple[Measured, ...]
    pairs: Path
    """Where the candidate pairs of near duplicates are."""
    compared: tuple[Path, ...]
    """Where it is told what the pairs have in common, a range after the other."""
    contaminated: Path | None
    """Where it is told which documents hold items of evaluation sets, if that was asked."""
    scored: tuple[tuple[Path, ...], ...]
    """Where the learnt scores of each piece are; none where none were asked for."""
    config: CorpusConfig
    alike: Path | None = None
    """Where it is told what means the same, once all else is decided."""


@dataclass
class Counts:
    """What the pieces' tables say in sum."""

    languages: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    private: Counter[str] = field(default_factory=Counter)
    would_drop: Counter[str] = field(default_factory=Counter)
    """Documents, by each rule of the profile `web` that they break."""

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Return the counts, the largest first, for JSON."""
        return {name: dict(counts.most_common(_MOST_COUNTED)) for name, counts in vars(self).items()}


_MOST_COUNTED = 100


def decide(place: Path, case: Case) -> Mapping[str, Any]:
    """Write the decision on every document, and a summary."""
    config, whole = case.config, gather(case.pieces)
    ledger, counts = Ledger(len(whole)), Counts()
    for piece, scores in zip(case.pieces, case.scored, strict=True):
        _judge(piece, piece.columns() | read_scores(scores), ledger, counts, config)
    if case.contaminated is not None:
        _judge_contaminated(case.contaminated, whole, ledger, config)
    rank, edges = ranks(whole, config.priority), read_edges(case.pairs, case.compared, config.duplicates)
    _drop_exact(whole, rank, ledger, config)
    _drop_near(whole, rank, ledger, edges, config)
    if case.alike:
        _drop_alike(read_alike(case.alike), ledger)
    if not ledger.is_kept.any():
        raise CorpusError(
            f"no document is left of {len(ledger)} read: {_in_words(ledger)}",
            hint="give more text, or loosen corpus.filter or corpus.minimum_characters",
        )
    if whole.held_out[ledger.is_kept].all() and config.validation:
        raise CorpusError(
            f"nothing is left to train on beside the validation part: {_in_words(ledger)}",
            hint="give other files with corpus.validation, or more text to train on",
        )
    found = clusters(edges.where(edges.overlaps.jaccard >= config.duplicates.related).pairs, whole.digests,
                      whole.num_bytes, config.duplicates)  # fmt: skip
    ledger.cluster = found.labels
    how = hold_out(case.pieces, whole, found, ledger, edges, config)
    ledger.save(place / DECISIONS, whole.offsets)
    summary = {"how": how, **_funnel(whole, ledger), **counts.as_dict()}
    summary["contamination"] = storage.read_json(case.contaminated / SETS)["sets"] if case.contaminated else []
    summary["clusters"] = _clusters(ledger, edges, found.count) | (_meaning(case.alike) if case.alike else {})
    storage.write_json(place / SUMMARY, summary)
    return {"how": how}


def _judge(
    piece: Measured, columns: Mapping[str, NDArray[Any]], ledger: Ledger, counts: Counts, config: CorpusConfig
) -> None:
    """Apply what a piece's own columns decide; documents given to measure on stay, whatever these say."""
    part, mask = slice(piece.start, piece.stop), np.zeros(len(ledger), bool)

    def drop(which: NDArray[np.bool_], reason: str) -> None:
        mask[part] = which
        ledger.drop(mask, reason)

    drop(columns["characters"] == 0, "empty")
    drop(columns["characters"] < config.minimum_characters, "too short")
    counts.languages.update(columns["language"].tolist())
    counts.licences.update(filter(None, columns["licence"].tolist()))
    private = {kind: columns[f"private_{kind}"] for kind in KINDS}
    counts.private.update({kind: int(found.sum()) for kind, found in private.items() if found.any()})
    counts.would_drop.update(verdicts(columns, _WEB).breaking())
    if piece.held_out:
        return
    found = verdicts(columns, config.filter)
    for number, name in enumerate(found.names, 1):
        drop(found.reasons == number, name)
    drop(is_dropped(private, config.privacy), "personal data")


def _judge_contaminated(place: Path, whole: Whole, ledger: Ledger, config: CorpusConfig) -> None:
    """Drop documents that hold items of evaluation sets, if that is to be done with them."""
    if config.contamination.action != "drop":
        return
    for number, words in notes(place).items():
        if not whole.held_out[number]:
            ledger.drop_one(number, "contaminated", words)


def _drop_exact(whole: Whole, rank: NDArray[np.int64], ledger: Ledger, config: CorpusConfig) -> None:
    """Drop all but one of equal texts: their measures are equal, too, so that those before this drop all or none."""
    if config.deduplicate == "none":
        return
    first = representatives(whole, rank)
    is_copy = (first != np.arange(len(whole))) & ledger.is_kept[first]
    ledger.drop(is_copy & whole.held_out[first] & ~whole.held_out, ALSO_HELD_OUT, match=first, score=1.0)
    ledger.drop(is_copy, DUPLICATE, match=first, score=1.0)


def _drop_near(whole: Whole, rank: NDArray[np.int64], ledger: Ledger, edges: Edges, config: CorpusConfig) -> None:
    """Drop documents that are nearly like one that stays and was compared with them."""
    if config.deduplicate != "near":
        return
    among = edges.where(np.asarray(ledger.is_kept[edges.pairs].all(axis=1)))
    places = preference(rank, whole.num_bytes)
    found = repeats(among.pairs, among.overlaps, places, config.duplicates)
    match, score = np.full(len(whole), -1, np.int64), np.zeros(len(whole), np.float32)
    match[found.documents], score[found.documents] = found.matches, among.overlaps.jaccard[found.rows]
    which = match >= 0
    also = which & whole.held_out[match] & ~whole.held_out
    ledger.drop(also, f"nearly {ALSO_HELD_OUT}", match=match, score=score)
    ledger.drop(which, NEAR, match=match, score=score)


def _drop_alike(found: Alike, ledger: Ledger) -> None:
    """Drop documents that mean the same as one that stays."""
    which, match = np.zeros(len(ledger), bool), np.full(len(ledger), -1, np.int64)
    score = np.zeros(len(ledger), np.float32)
    which[found.documents], match[found.documents], score[found.documents] = True, found.matches, found.cosines
    ledger.drop(which, ALIKE, match=match, score=score)


def _in_words(ledger: Ledger) -> str:
    counts = sorted(ledger.counts().items(), key=lambda item: -item[1])
    return ", ".join(f"{count} {reason}" for reason, count in counts) or "none was read"


def _funnel(whole: Whole, ledger: Ledger) -> dict[str, Any]:
    """Count documents and bytes: read, dropped by reason, kept; in all and by source."""
    width = len(ledger.names)
    cells = whole.groups.astype(np.int64) * width + ledger.reason
    shape = (len(whole.group_names), width)
    documents = np.bincount(cells, minlength=shape[0] * width).reshape(shape)
    sizes = np.bincount(cells, weights=whole.num_bytes, minlength=shape[0] * width).reshape(shape).astype(np.int64)

    def cell(group: int, reason: int) -> dict[str, int]:
        return {"documents": int(documents[group, reason]), "bytes": int(sizes[group, reason])}

    sources = {
        name: {
            "read": {"documents": int(documents[group].sum()), "bytes": int(sizes[group].sum())},
            "dropped": {
                ledger.names[reason]: cell(group, reason) for reason in range(1, width) if documents[group, reason]
            },
            "kept": cell(group, 0),
        }
        for group, name in enumerate(whole.group_names)
    }
    total = {"read": len(ledger), "kept": int(ledger.is_kept.sum()), "dropped": ledger.counts()}
    return {"documents": total, "sources": sources}


def _clusters(ledger: Ledger, edges: Edges, count: int) -> dict[str, Any]:
    sizes = np.bincount(ledger.cluster)
    found: dict[str, Any] = {
        "pairs compared": edges.compared,
        "clusters of two documents or more": count,
        "documents in the largest": int(sizes.max()),
    }
    for reason, name in ((NEAR, "likeness"), (ALIKE, "cosine")):
        scores = ledger.score[ledger.reason == ledger.names.index(reason)] if reason in ledger.names else np.zeros(0)
        if len(scores):
            found[f"{name} of dropped to kept, least"] = round(float(scores.min()), 3)
            found[f"{name} of dropped to kept, mean"] = round(float(scores.mean()), 3)
    return found


def _meaning(alike: Path) -> dict[str, Any]:
    """Say what was compared by meaning, and what cosines mean nothing: those of pairs drawn by chance."""
    facts = facts_of(alike)
    found = {"compared by meaning": facts["compared"]}
    return found | {f"cosine {name}": value for name, value in facts.items() if name.startswith("by chance")}
