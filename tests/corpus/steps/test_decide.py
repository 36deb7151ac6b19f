"""Decisions: the same whatever fits into memory, which does not grow with the documents."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from textus import storage
from textus.corpus.config import CorpusConfig
from textus.corpus.contamination.config import ContaminationConfig
from textus.corpus.document import Document
from textus.corpus.pipeline import build_from
from textus.corpus.steps.decide import DECISIONS, SUMMARY, Case, decide
from textus.corpus.steps.exact import Marking, mark_first
from textus.corpus.steps.ledger import read_decisions
from textus.corpus.steps.measure import TABLE
from textus.corpus.steps.table import Measured
from textus.corpus.work.config import WorkConfig

ROWS = 400
MEGABYTES = 0.3


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """Return the measures of some documents."""
    root = tmp_path_factory.mktemp("measured")
    texts = [" ".join(f"word{number % 97}of{place}" for place in range(9)) for number in range(ROWS)]
    build_from(
        [Document(text, f"s{number % 3}") for number, text in enumerate(texts)], "key", root / "c", CorpusConfig()
    )
    (place,) = (root / "c.work/measured").iterdir()
    found: pa.Table = pa.parquet.read_table(place / TABLE)
    return found


def case(root: Path, table: pa.Table, number: int, megabytes: float = MEGABYTES) -> Case:
    """Write many pieces of other contents, a tenth of them copies, in which half are nearly like their neighbours."""
    pieces = []
    for at in range(number):
        place = root / f"piece{at}"
        place.mkdir(parents=True)
        contents = np.arange(at * ROWS, (at + 1) * ROWS, dtype=np.uint64)
        contents[::10] = contents[::10] // np.uint64(7)
        columns = {name: table.column(name) for name in table.column_names}
        columns["digest"] = pa.array(contents * np.uint64(0x9E3779B97F4A7C15))
        columns["digest_rest"] = pa.array(contents)
        pa.parquet.write_table(pa.table(columns), place / TABLE)
        pieces.append(Measured(place, False, at * ROWS, (at + 1) * ROWS, 60 * ROWS))
    first, pairs, compared = root / "first", root / "pairs", root / "compared"
    for place in (first, pairs, compared):
        place.mkdir()
    config = CorpusConfig(test_fraction=0.1, work=WorkConfig(memory_mb=megabytes))
    mark_first(first, Marking(tuple(pieces), (), int(megabytes * 1e6)))
    is_first = np.load(first / "first.npy")
    heads = np.arange(0, number * ROWS - 3, 4, dtype=np.uint64)
    some = np.sort(np.concatenate([heads << np.uint64(32) | heads + np.uint64(step) for step in (1, 3)]))
    some = some[is_first[some >> np.uint64(32)] & is_first[some & np.uint64(2**32 - 1)]]
    some.tofile(pairs / "pairs.u64")
    shared = 3 + np.arange(len(some)) % 8
    np.save(compared / "overlaps.npy", np.stack((shared, *np.full((2, len(some)), 10)), axis=1).astype(np.int32))
    return Case(tuple(pieces), first, pairs, (compared,), None, ((),) * number, config)


def decided(case: Case, place: Path) -> tuple[dict, list]:
    place.mkdir()
    decide(place, case)
    assert sorted(path.name for path in place.iterdir()) == [DECISIONS, SUMMARY]
    groups = range(len(case.pieces))
    return storage.read_json(place / SUMMARY), [read_decisions(place / DECISIONS, group) for group in groups]


def test_what_fits_into_memory_changes_nothing(tmp_path: Path, table: pa.Table) -> None:
    asked = case(tmp_path, table, 8)
    roomy = replace(asked, config=replace(asked.config, work=WorkConfig(memory_mb=1000.0)))
    summary, decisions = decided(asked, tmp_path / "narrow")
    assert (summary, decisions) == decided(roomy, tmp_path / "roomy")
    assert {"duplicate", "near duplicate"} <= set(summary["documents"]["dropped"])
    splits = [one.split for group in decisions for one in group if not one.reason]
    assert {"train", "validation", "test"} == set(splits)
    for group in decisions:
        for one in group:
            assert (one.match >= 0) == (one.reason in ("duplicate", "near duplicate"))


def test_memory_does_not_grow_with_the_documents(tmp_path: Path, table: pa.Table) -> None:
    """Some bits of each, and what is read of a piece, is all that is held, beside what sorting may take."""
    peaks = []
    for number in (5, 12):
        asked = case(tmp_path / str(number), table, number)
        place = tmp_path / f"decided{number}"
        place.mkdir()
        tracemalloc.start()
        decide(place, asked)
        peaks.append(tracemalloc.get_traced_memory()[1])
        (place / "again").mkdir()
        tracemalloc.reset_peak()
        mark_first(place / "again", Marking(asked.pieces, (), int(MEGABYTES * 1e6)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    few, few_first, many, many_first = peaks
    # Twenty bytes of each document more, for there are more runs to merge. Columns of all would be hundreds.
    assert many - few < 20 * 7 * ROWS
    assert many_first - few_first < 20 * 7 * ROWS


def test_copies_of_a_contaminated_document_go_with_it(tmp_path: Path) -> None:
    item = " ".join(f"asked{number}" for number in range(30))
    (tmp_path / "eval.jsonl").write_text(json.dumps({"text": item}), "utf-8")
    documents = [Document(" ".join(f"w{number}x{place}" for place in range(40)), f"{number}") for number in range(30)]
    documents[4:4] = [Document(f"Before it. {item}. Behind it.", name) for name in ("one", "two", "three")]
    against = ContaminationConfig(against=(str(tmp_path / "eval.jsonl"),), action="drop")
    for deduplicate in ("near", "exact", "none"):
        config = CorpusConfig(contamination=against, deduplicate=deduplicate)
        corpus = build_from(documents, "key", tmp_path / deduplicate, config)
        assert json.loads((corpus.directory / "report.json").read_text("utf-8"))["documents"]["dropped"] == {
            "contaminated": 3
        }
