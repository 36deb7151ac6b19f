"""What an adaptation came to, beside what is reached in simpler ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textus import fingerprint, storage
from textus.adaptation.job import Adapted, Job
from textus.adaptation.measures import Measure, middle
from textus.checkpoint.checkpoint import KIND
from textus.config import to_toml
from textus.errors import TextusError
from textus.report import Prose, Report, Score, Section, Table

RESULT = "adapted.json"
"""Where the directory of an adapted model keeps what was measured."""
VERSION = 1
"""Raised when the same examples and settings would give other figures, so that kept ones are made again."""


@dataclass(frozen=True)
class Row:
    """What one way of answering reaches on the examples that measure."""

    name: str
    seeds: int
    """0 where chance plays no part."""
    measures: Mapping[str, Measure]
    """Of several seeds, of that one whose first measure is the median."""
    low: float
    """The first measure of the worst seed, and of the best."""
    high: float

    @classmethod
    def of(cls, name: str, trials: Sequence[Mapping[str, Measure]], seeds: int | None = None) -> Row:
        """Make a row of what the trials of a way reach."""
        first = [next(iter(trial.values())).value for trial in trials]
        return cls(name, len(trials) if seeds is None else seeds, trials[middle(first)], min(first), max(first))

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {**vars(self), "measures": {name: vars(measure) for name, measure in self.measures.items()}}


@dataclass(frozen=True)
class Outcome:
    """All that was measured; the first row is of the model that the directory holds."""

    method: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    facts: Mapping[str, Any]
    """JSON-like values."""
    tokenizer: str
    data: str

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {**vars(self), "rows": [row.as_dict() for row in self.rows], "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Outcome:
        """Take up what `as_dict` returned."""
        rows = tuple(
            Row(**{**row, "measures": {name: Measure(**one) for name, one in row["measures"].items()}})
            for row in values["rows"]
        )
        return cls(**{**values, "rows": rows, "notes": tuple(values["notes"])})

    def adapted(self, job: Job) -> Adapted:
        """Return it as the verb does."""
        scores = tuple(
            Score(name, measure.value, measure.error, "", self.tokenizer, self.data)
            for name, measure in self.rows[0].measures.items()
        )
        sections: tuple[tuple[str, Section], ...] = (
            ("On the examples that measure", self._table()),
            ("What this means", Prose(" ".join(self.notes))),
            ("Settings", Prose(to_toml(job.settings, explain=False), verbatim=True)),
        )
        facts = {**self.facts, "rows": [row.as_dict() for row in self.rows], "notes": list(self.notes)}
        report = Report(f"Adapted model {job.directory.name}", sections)
        return Adapted(job.directory, self.method, scores, report, facts)

    def _table(self) -> Table:
        names = list(self.rows[0].measures)
        header = ["way", *(part for name in names for part in (name.replace("_", " "), f"± {name.replace('_', ' ')}"))]
        cells = []
        for row in self.rows:
            values: list[Any] = [row.name]
            for name in names:
                measure = row.measures.get(name)
                values += ["", ""] if measure is None else [measure.value, measure.error]
            spread = f"{row.low:.4g} to {row.high:.4g}" if row.seeds > 1 else ""
            cells.append((*values, row.seeds, spread))
        return Table((*header, "seeds", f"{names[0].replace('_', ' ')} by seed"), tuple(cells))


def key_of(job: Job, data: str, parent: str) -> str:
    """Hash what decides an outcome."""
    return fingerprint.of_value([VERSION, to_toml(job.settings, explain=False), data, parent])


def kept(job: Job, key: str) -> Outcome | None:
    """Return the outcome that stands in the directory, where it is of the same examples, settings and model."""
    if not storage.is_fresh(job.directory, KIND, key):
        return None
    try:
        return Outcome.from_dict(storage.read_json(Path(job.directory) / RESULT))
    except (TextusError, KeyError, TypeError):
        return None
