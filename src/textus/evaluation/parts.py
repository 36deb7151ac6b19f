"""The scores of each source, or of each document, of a text that was measured as a whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from textus.errors import ConfigError
from textus.evaluation.estimate import Evaluation, ratio
from textus.report import Report, Score, Shown, Table, number

By = Literal["source", "document"]
SHOWN = 40
"""Rows of a table that is read by people: the hardest. JSON has all."""


@dataclass(frozen=True)
class Part:
    """A source or a document, and its scores."""

    name: str
    documents: int
    tokens: int
    num_bytes: int
    scores: tuple[Score, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            "name": self.name,
            "documents": self.documents,
            "tokens": self.tokens,
            "bytes": self.num_bytes,
            "scores": [score.as_dict() for score in self.scores],
        }


@dataclass(frozen=True)
class Parts(Shown):
    """All parts of a text, the hardest first."""

    by: By
    rows: tuple[Part, ...]

    def as_dict(self) -> list[dict[str, Any]]:
        """Return the rows for JSON."""
        return [row.as_dict() for row in self.rows]

    def table(self) -> Table:
        """Return the hardest for people."""
        names = [score.name.replace("_", " ") for score in self.rows[0].scores]
        header = (self.by, "documents", "tokens", "bytes", *(part for name in names for part in (name, "±")))
        rows = tuple(
            (
                row.name,
                row.documents,
                row.tokens,
                row.num_bytes,
                *(number(part) for score in row.scores for part in (score.value, score.error)),
            )
            for row in self.rows[:SHOWN]
        )
        return Table(header, rows)

    def report(self) -> Report:
        """Return the table as a report."""
        more = len(self.rows) - SHOWN
        title = f"By {self.by}" + (f", the {SHOWN} hardest of {len(self.rows):,}" if more > 0 else "")
        return Report(title, ((title, self.table()),))


def parts(found: Evaluation, sources: Sequence[str], by: By, data: str) -> Parts:
    """Cut an evaluation up; `sources` names where each of its documents comes from.

    The errors of a part are over its documents, or over its blocks of text where they are fewer than 20. Raises
    `ConfigError` for predictions of hidden tokens of few documents, whose sums were not kept by document.
    """
    assert len(sources) == found.documents
    owners, names = _owners(sources, by)
    rows = []
    for place, name in enumerate(names):
        which = owners == place
        row = _hidden(found, which, name, data) if found.blocks is None else _read(found, which, name, data)
        if row is not None:
            rows.append(row)
    hardness = "masked_loss" if found.blocks is None else "bits_per_byte"
    rows.sort(key=lambda row: -next(score.value for score in row.scores if score.name == hardness))
    return Parts(by, tuple(rows))


def _owners(sources: Sequence[str], by: By) -> tuple[ndarray, list[str]]:
    if by == "source":
        unique, owners = np.unique(np.array(sources, object), return_inverse=True)
        return owners, unique.tolist()
    counts: dict[str, int] = {}
    names = []
    for source in sources:
        counts[source] = counts.get(source, 0) + 1
        names.append(f"{source} #{counts[source]}")
    single = [
        name.removesuffix(" #1") if counts[source] == 1 else name for name, source in zip(names, sources, strict=True)
    ]
    return np.arange(len(sources)), single


def _read(found: Evaluation, which: Bool[ndarray, " documents"], name: str, data: str) -> Part | None:
    assert found.blocks is not None
    blocks = found.blocks.of(which)
    if not blocks.num_bytes.sum() or len(blocks.nats) < 2:
        return None
    totals = int(which.sum()), int(blocks.tokens.sum()), int(blocks.num_bytes.sum())
    return Part(name, *totals, found.part(which, data))


def _hidden(found: Evaluation, which: Bool[ndarray, " documents"], name: str, data: str) -> Part | None:
    if found.units.kind != "document":
        raise ConfigError(
            f"hidden tokens of {found.documents} documents were not kept apart by document",
            hint="give 20 documents or more",
        )
    nats, tokens, num_bytes = (
        values[which] for values in (found.units.nats, found.units.tokens, found.units.num_bytes)
    )
    if not tokens.sum():
        return None
    several = len(nats) > 1
    loss, error = ratio(nats, tokens.astype(np.float64)) if several else (float(nats[0] / tokens[0]), math.inf)
    score = Score("masked_loss", loss, error, found.score("masked_loss").unit, found.scores[0].tokenizer, data)
    return Part(name, len(nats), int(tokens.sum()), int(num_bytes.sum()), (score,))
