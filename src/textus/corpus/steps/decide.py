"""Decide on every document, from measures alone: which stay, why the others go, and who is held out.

Nothing is read here but columns and pairs, so that changing a threshold costs seconds. A few bits are held of every
document; whatever else concerns all of them goes by in order, a piece or some pairs at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus import storage
from textus.corpus.batch import Index
from textus.corpus.config import MEGABYTE, CorpusConfig
from textus.corpus.duplicates.candidates import Pairs
from textus.corpus.duplicates.first_come import first_come
from textus.corpus.duplicates.verify import Overlaps
from textus.corpus.sorting import Cursor, sorting_bytes
from textus.corpus.steps.cluster import Clusters, find_clusters
from textus.corpus.steps.decontaminate import SETS, notes
from textus.corpus.steps.exact import copies, standing
from textus.corpus.steps.hold_out import HeldOut, drop_straddling, hold_out
from textus.corpus.steps.judge import Counts, judge
from textus.corpus.steps.ledger import DecisionWriter, Ledger
from textus.corpus.steps.meaning import facts_of, read_alike
from textus.corpus.steps.near import Alike
from textus.corpus.steps.score import read_scores
from textus.corpus.steps.table import Measured
from textus.corpus.steps.tally import Tally
from textus.errors import CorpusError

DECISIONS, SUMMARY = "decisions.parquet", "summary.json"
ALSO_HELD_OUT = "also in the validation part"
CONTAMINATED, DUPLICATE, NEAR, ALIKE = "contaminated", "duplicate", "near duplicate", "same in other words"
_PAIR_BYTES = 512
"""What looking at a pair takes."""
_FEWEST, _MOST = 1000, 500_000


@dataclass(frozen=True)
class Case:
    """All that the decision is made of."""

    pieces: tuple[Measured, ...]
    first: Path
    """Where it is told which documents are copies, and how documents are preferred."""
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

    @property
    def memory_bytes(self) -> int:
        """Return what deciding may take beside the bits of all documents."""
        return sorting_bytes(self.pieces[-1].stop, self.config.work.memory_mb * MEGABYTE)

    @property
    def edges(self) -> Alike:
        """Return the pairs that are alike, to be gone through."""
        at_once = min(_MOST, max(_FEWEST, self.memory_bytes // 8 // _PAIR_BYTES))
        return Alike(self.pairs, self.compared, self.config.duplicates, at_once)

    def are_given(self, documents: Index) -> NDArray[np.bool_]:
        """Tell which documents were given to measure on."""
        starts = np.array([piece.start for piece in self.pieces])
        given = np.array([piece.held_out for piece in self.pieces])
        return np.asarray(given[np.searchsorted(starts, documents, "right") - 1])


def decide(place: Path, case: Case) -> Mapping[str, Any]:
    """Write the decision on every document, and a summary."""
    with TemporaryDirectory(dir=place) as folder:
        return _Deciding(case, Path(folder)).write(place)


class _Deciding:
    """The questions that are asked of all documents, one after the other."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self.config, self.folder = case, case.config, folder
        self.ledger = Ledger(case.pieces[-1].stop, folder, case.memory_bytes // 8)
        self.counts = Counts()

    def write(self, place: Path) -> Mapping[str, Any]:
        """Ask them all, and write the answers."""
        case, config, ledger = self.case, self.config, self.ledger
        for piece, scores in zip(case.pieces, case.scored, strict=True):
            judge(piece, read_scores(scores), ledger, self.counts, config)
        self._drop_contaminated()
        self._drop_exact()
        self._drop_near()
        if case.alike:
            found = read_alike(case.alike)
            ledger.drop(found.documents, ALIKE, match=found.matches, score=found.cosines)
        self._check()
        clusters = find_clusters(
            self._related(), case.pieces, config.duplicates.largest_cluster, self.folder, case.memory_bytes // 2
        )
        held_out = hold_out(case.pieces, clusters, ledger, config, self.folder, case.memory_bytes // 2)
        drop_straddling(case.pieces, held_out, case.edges, ledger, config)
        tally = self._save(place / DECISIONS, clusters, held_out)
        summary = {"how": held_out.how, **tally.funnel(ledger.counts()), **self.counts.as_dict()}
        summary["contamination"] = storage.read_json(case.contaminated / SETS)["sets"] if case.contaminated else []
        summary["clusters"] = {
            "pairs compared": len(case.edges),
            "clusters of two documents or more": clusters.count,
            "documents in the largest": clusters.largest,
            **tally.scores((NEAR, "likeness"), (ALIKE, "cosine")),
            **(_meaning(case.alike) if case.alike else {}),
        }
        storage.write_json(place / SUMMARY, summary)
        return {"how": held_out.how}

    def _drop_contaminated(self) -> None:
        """Drop documents that hold items of evaluation sets, and their copies, if that is to be done with them."""
        contaminated = self.case.contaminated
        if contaminated is None or self.config.contamination.action != "drop":
            return
        words = notes(contaminated)
        given = self.case.are_given(np.array(list(words), np.int64))
        for (number, note), is_given in zip(words.items(), given.tolist(), strict=True):
            if not is_given:
                self.ledger.drop_one(number, CONTAMINATED, note)
        for some, first in copies(self.case.first):
            is_given = self.case.are_given(some)
            for number, own in zip(some[~is_given].tolist(), first[~is_given].tolist(), strict=True):
                if own in words:  # only one of equal texts was looked through
                    self.ledger.drop_one(number, CONTAMINATED, words[own])

    def _drop_exact(self) -> None:
        """Drop all but one of equal texts: their measures are equal, so that what was decided before holds for all."""
        if self.config.deduplicate == "none":
            return
        for some, first in copies(self.case.first):
            is_copy = self.ledger.kept[first]
            self._drop_for(some[is_copy], first[is_copy], np.ones(int(is_copy.sum())), ALSO_HELD_OUT, DUPLICATE)

    def _drop_near(self) -> None:
        """Drop documents that are nearly like one that stays and was compared with them."""
        if self.config.deduplicate != "near":
            return
        known = standing(self.case.first)
        found = first_come(
            self._among(), known, self.config.duplicates, len(self.ledger), self.folder, self.case.memory_bytes // 2
        )
        for documents, matches, likeness in found:
            self._drop_for(documents, matches, likeness, f"nearly {ALSO_HELD_OUT}", NEAR)

    def _drop_for(self, documents: Index, matches: Index, score: NDArray[Any], also: str, otherwise: str) -> None:
        """Drop documents for others; those for one that was given to measure on have another reason."""
        for_given = self.case.are_given(matches) & ~self.case.are_given(documents)
        for which, reason in ((for_given, also), (~for_given, otherwise)):
            self.ledger.drop(documents[which], reason, match=matches[which], score=score[which])

    def _among(self) -> Iterator[tuple[Pairs, Overlaps]]:
        """Yield the pairs of documents that are both in so far."""
        for edges in self.case.edges:
            among = edges.where(np.asarray(self.ledger.kept[edges.pairs].all(axis=1)))
            yield among.pairs, among.overlaps

    def _related(self) -> Iterator[tuple[Index, Index]]:
        """Yield the pairs of documents that must not stand on two sides."""
        for edges in self.case.edges:
            pairs = edges.pairs[edges.overlaps.jaccard >= self.config.duplicates.related]
            yield pairs[:, 0], pairs[:, 1]
        yield from copies(self.case.first)

    def _check(self) -> None:
        ledger, pieces = self.ledger, self.case.pieces
        counts = sorted(ledger.counts().items(), key=lambda item: -item[1])
        words = ", ".join(f"{count} {reason}" for reason, count in counts) or "none was read"
        if not ledger.kept.count():
            raise CorpusError(
                f"no document is left of {len(ledger)} read: {words}",
                hint="give more text, or loosen corpus.filter or corpus.minimum_characters",
            )
        to_learn = (ledger.kept.part(piece.start, piece.stop).any() for piece in pieces if not piece.held_out)
        if self.config.validation and not any(to_learn):
            raise CorpusError(
                f"nothing is left to train on beside the validation part: {words}",
                hint="give other files with corpus.validation, or more text to train on",
            )

    def _save(self, path: Path, clusters: Clusters, held_out: HeldOut) -> Tally:
        """Write what was decided, piece by piece, and count it."""
        pieces, ledger = self.case.pieces, self.ledger
        tally, cursor = Tally(ledger.names), Cursor(clusters.rows)
        offsets = [0, *(piece.stop for piece in pieces)]
        with DecisionWriter(path, ledger.names) as writer:
            every = zip(pieces, ledger.decided(offsets), held_out.splits(pieces), strict=True)
            for piece, decided, splits in every:
                writer.append(decided, splits, clusters.of(piece, cursor.up_to(piece.stop)).labels)
                tally.add(piece, decided)
        return tally


def _meaning(alike: Path) -> dict[str, Any]:
    """Say what was compared by meaning, and what cosines mean nothing: those of pairs drawn by chance."""
    facts = facts_of(alike)
    found = {"compared by meaning": facts["compared"]}
    return found | {f"cosine {name}": value for name, value in facts.items() if name.startswith("by chance")}
