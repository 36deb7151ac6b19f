"""Score documents by what is learnt: a classifier of good and bad texts, and the perplexity of a model.

These are steps of their own, for they depend on more than the document; their columns join the measured ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from textus.corpus.arrow import array, column, read_table
from textus.corpus.batch import TextBatch, batches
from textus.corpus.clean import clean
from textus.corpus.config import CorpusConfig
from textus.corpus.filters.feature import Column
from textus.corpus.filters.quality import Perplexity, QualityModel, learnt, train_quality
from textus.corpus.inputs import Part
from textus.corpus.log import ReadLog
from textus.corpus.read import read_part
from textus.corpus.steps.measure import DOCUMENTS
from textus.corpus.steps.table import Measured
from textus.corpus.store import read_documents

_TABLE = "scores.parquet"


@dataclass(frozen=True)
class Lesson:
    """The texts that a classifier is learnt from."""

    good: tuple[Part, ...]
    bad: tuple[Part, ...]
    config: CorpusConfig


def learn(place: Path, payload: Lesson) -> Mapping[str, Any]:
    """Learn a classifier and write it."""
    model = train_quality(_texts(payload.good, payload.config), _texts(payload.bad, payload.config))
    model.save(place)
    return {"area under curve": model.facts.area_under_curve, "error": model.facts.error}


@dataclass(frozen=True)
class Scoring:
    """A piece to be scored, by a classifier or by a model's perplexity."""

    piece: Measured
    classifier: Path | None = None
    perplexity: Perplexity | None = None


def score(place: Path, payload: Scoring) -> Mapping[str, Any]:
    """Write the scores of a piece's documents."""
    model = QualityModel.load(payload.classifier) if payload.classifier else None
    parts: list[pa.Table] = []
    for group in batches(read_documents(payload.piece.place, DOCUMENTS)):
        texts = [document.text for document in group]
        found = learnt(texts, TextBatch(texts), model, payload.perplexity)
        parts.append(pa.Table.from_arrays([column(values) for values in found.values()], list(found)))
    pa.parquet.write_table(pa.concat_tables(parts), place / _TABLE, compression="zstd")
    return {}


def read_scores(places: Sequence[Path]) -> dict[str, Column]:
    """Read the columns that scoring a piece has given."""
    columns: dict[str, Column] = {}
    for place in places:
        table = read_table(place / _TABLE)
        columns |= {name: array(table.column(name)) for name in table.column_names}
    return columns


def _texts(parts: Sequence[Part], config: CorpusConfig) -> Iterator[str]:
    log = ReadLog(stop=config.unreadable == "stop")
    for part in parts:
        for document in read_part(part, config, log):
            text, _ = clean(document.text, config)
            if text:
                yield text
