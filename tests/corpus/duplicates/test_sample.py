"""What is written of held-out documents is what they are known by in memory."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.duplicates import sample as sampling
from textus.corpus.duplicates.config import LeakageConfig
from textus.corpus.duplicates.sample import Sample, write_sample
from textus.corpus.duplicates.verify import shingle_sets

DOCUMENTS = st.lists(st.lists(st.integers(0, 4), max_size=3), max_size=12)
"""Documents put together of five passages of twelve words."""


@given(DOCUMENTS, st.sampled_from([1000, 1_000_000]), st.sampled_from([1, 2, 32]), st.sampled_from([1, 3, 100]))
@settings(max_examples=25, deadline=None)
def test_a_sample_is_the_same_on_disk_and_misses_no_run(documents, memory, most_owners, together) -> None:
    texts = [" ".join(f"w{one}x{place}" for one in document for place in range(12)) for document in documents]
    sets = shingle_sets(TextBatch(texts))
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "_MOST_OWNERS", most_owners)
        patch.setattr(sampling, "_TOGETHER", together)
        wanted = Sample.of(*sets, LeakageConfig())
        write_sample(Path(folder), *sets, LeakageConfig(), memory)
        found = Sample.read(Path(folder))
        for name, values in vars(wanted).items():
            assert getattr(found, name).dtype == values.dtype
            assert getattr(found, name).tolist() == values.tolist(), name
        assert {path.suffix for path in Path(folder).iterdir()} == {".raw"}
        runs = np.unique(np.concatenate([sets[0], np.arange(20, dtype=np.uint32)]))
        assert set(np.flatnonzero(np.isin(runs, wanted.runs))) <= set(found.may_hold(runs).tolist())
