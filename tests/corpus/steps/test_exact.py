"""Which documents are copies of which, held against the definition."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.steps.exact import FIRST, Marking, copies, mark_first, standing
from textus.errors import ConfigError

DOCUMENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1), st.sampled_from("ab"), st.integers(1, 3)))


@given(st.lists(DOCUMENTS.filter(bool), min_size=1, max_size=3), st.sampled_from([200, 100_000]))
@settings(max_examples=25, deadline=None)
def test_the_first_of_the_best_rank_stands_for_its_text(pieces_of, parts, memory) -> None:
    rows = [(number == 0, *row) for number, part in enumerate(parts) for row in part]
    priority = tuple(name for name in "b" if any(row[3] == name for row in rows))
    rank = [0 if given_ else 1 + (name not in priority) for given_, _, _, name, _ in rows]
    with TemporaryDirectory() as folder:
        root, place = Path(folder), Path(folder) / "first"
        place.mkdir()
        found = mark_first(place, Marking(pieces_of(root, parts), priority, memory))
        texts = [row[1:3] for row in rows]
        best = {text: min((rank[at], at) for at, own in enumerate(texts) if own == text)[1] for text in texts}
        wanted = [(at, best[text]) for at, text in enumerate(texts) if best[text] != at]
        told = [pair for some in copies(place) for pair in zip(*(side.tolist() for side in some), strict=True)]
        assert told == wanted and found == {"copies": len(wanted)}
        assert np.flatnonzero(~np.load(place / FIRST)).tolist() == [at for at, _ in wanted]
        order = sorted(range(len(rows)), key=lambda at: (rank[at], -rows[at][4], at))
        assert np.argsort(standing(place).take(np.arange(len(rows))), kind="stable").tolist() == order
        assert sorted(path.name for path in place.iterdir()) == ["copies.u64", FIRST, "standing.u64"]


def test_a_source_that_is_not_there_is_named(pieces_of, tmp_path: Path) -> None:
    pieces = pieces_of(tmp_path, [[(0, 0, "a", 1)], [(1, 0, "b", 1)]])
    with pytest.raises(ConfigError, match="no documents of `c`") as told:
        mark_first(tmp_path, Marking(pieces, ("b", "c"), 1000))
    assert told.value.hint == "the groups of this input are a, b"
