"""Runs of words on disk: what is picked from those of a piece is what its texts alone would give."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.duplicates.verify import shingle_sets, shingles
from textus.corpus.steps import sets
from textus.corpus.steps.sets import RunWriter, copy_sets, gathered, open_sets

TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=12).map(" ".join), min_size=1, max_size=8)


@given(TEXTS, st.data())
@settings(max_examples=50)
def test_the_sets_of_some_documents_are_those_of_their_texts(tmp_path_factory, texts, data) -> None:
    source, place = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("sets")
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, len(texts) - 1)))), np.int64)
    with RunWriter(source) as writer:
        for start in range(0, len(texts), 3):
            writer.append(*shingles(TextBatch(texts[start : start + 3])))
    copy_sets(place, source, rows)
    for found, expected in zip(open_sets(place), shingle_sets(TextBatch([texts[row] for row in rows])), strict=True):
        assert found.tolist() == expected.tolist()


@given(TEXTS, st.integers(1, 9))
@settings(max_examples=50)
def test_documents_come_some_at_a_time_and_all_of_them(tmp_path_factory, texts, together) -> None:
    place = tmp_path_factory.mktemp("runs")
    every, borders = shingles(TextBatch(texts))
    with RunWriter(place) as writer:
        writer.append(every, borders)
    before, sets._TOGETHER = sets._TOGETHER, together
    try:
        found = list(gathered(place, np.arange(len(texts))))
    finally:
        sets._TOGETHER = before
    assert [row for rows, _, _ in found for row in rows] == list(range(len(texts)))
    assert [run for _, runs, _ in found for run in runs] == every.tolist()
    assert all(len(rows) == len(offsets) - 1 and offsets[-1] == len(runs) for rows, runs, offsets in found)
