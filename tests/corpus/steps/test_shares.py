"""What is held out of documents that go by is what is held out of all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.split import TEST, TRAIN, VALIDATION, by_document, by_time, group_keys
from textus.corpus.split_config import SplitConfig
from textus.corpus.steps.shares import Candidates
from textus.errors import CorpusError

SHARES = st.builds(
    lambda validation, test: {VALIDATION: validation, TEST: test},
    st.sampled_from([0.0, 0.05, 0.2, 0.5]),
    st.sampled_from([0.0, 0.1, 0.4]),
)
ROWS = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 50), st.integers(0, 9)), min_size=3, max_size=60)


def divide(
    config: SplitConfig,
    keys: np.ndarray,
    sizes: np.ndarray,
    shares: Mapping[int, float],
    values: Sequence[Any] = (),
    stays: np.ndarray | None = None,
    memory: int = 1_000_000,
    together: int = 1000,
) -> np.ndarray:
    """Return the split of each document, some of them given at a time."""
    stays = np.zeros(len(sizes), bool) if stays is None else stays
    splits = np.full(len(sizes), TRAIN, np.int8)
    with TemporaryDirectory() as folder:
        candidates = Candidates(config, Path(folder), memory)
        for start in range(0, len(sizes), together):
            part = slice(start, min(start + together, len(sizes)))
            numbers = np.arange(part.start, part.stop)
            candidates.add(numbers, keys[part].T, sizes[part], stays[part], values[part] if len(values) else ())
        for numbers, own in candidates.chosen(shares):
            assert (splits[numbers] == TRAIN).all()
            splits[numbers] = own
        assert not list(Path(folder).iterdir())
    return splits


def keys_of(names: Sequence[int]) -> np.ndarray:
    return np.stack((np.array(names, np.uint64) // np.uint64(3), np.array(names, np.uint64)), axis=1)


@given(ROWS, SHARES, st.sampled_from([700, 1_000_000]), st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_contents_are_chosen_as_from_all_together(rows, shares, memory, together) -> None:
    names, sizes, chances = zip(*rows, strict=True)
    keys, stays = keys_of(names), np.array(chances) == 0
    wanted = by_document(keys, np.array(sizes), shares, stays)
    found = divide(SplitConfig(), keys, np.array(sizes), shares, (), stays, memory, together)
    assert found.tolist() == wanted.tolist()


@given(ROWS, SHARES, st.sampled_from([700, 1_000_000]), st.integers(1, 30))
@settings(max_examples=25, deadline=None)
def test_groups_and_times_are_chosen_as_from_all_together(rows, shares, memory, together) -> None:
    names, sizes, chances = zip(*rows, strict=True)
    keys, sizes, stays = keys_of(names), np.array(sizes), np.array(chances) == 0
    asked = (keys, sizes, shares, names, stays, memory, together)
    wanted = by_document(group_keys(names), sizes, shares, stays)
    assert divide(SplitConfig(how="group", field="f"), *asked).tolist() == wanted.tolist()
    try:
        wanted = by_time(np.array(names, float), sizes, shares, stays)
    except CorpusError as error:
        with pytest.raises(CorpusError) as told:
            divide(SplitConfig(how="time", field="f"), *asked)
        assert str(told.value) == str(error)
    else:
        assert divide(SplitConfig(how="time", field="f"), *asked).tolist() == wanted.tolist()


def test_groups_stay_together_whatever_their_content() -> None:
    names = [number % 20 for number in range(200)]
    sizes = np.full(200, 8)
    splits = divide(SplitConfig(how="group", field="author"), keys_of(range(200)), sizes, {VALIDATION: 0.2}, names)
    held_out = [name for name in range(20) if splits[name] == VALIDATION]
    assert [name in held_out for name in names] == (splits == VALIDATION).tolist()
    assert len(held_out) == pytest.approx(4, abs=1)


def test_the_newest_tenth_is_held_out() -> None:
    years = [str(1900 + number) for number in range(100)]
    shares = {VALIDATION: 0.1}
    splits = divide(SplitConfig(how="time", field="year"), keys_of(range(100)), np.full(100, 8), shares, years)
    assert splits.tolist() == [TRAIN] * 90 + [VALIDATION] * 10


@pytest.mark.parametrize("how", ["group", "time"])
@pytest.mark.parametrize("nothing", [None, "", float("nan")])
def test_documents_without_the_field_are_named_or_trained_on(how, nothing) -> None:
    values = [2000 + number if number != 39 else nothing for number in range(40)]
    asked = (keys_of(range(40)), np.full(40, 8), {VALIDATION: 0.2}, values)
    with pytest.raises(CorpusError, match="1 of 40 documents have no `year`; the first is document 39"):
        divide(SplitConfig(how=how, field="year"), *asked, together=7)
    splits = divide(SplitConfig(how=how, field="year", missing="train"), *asked, together=7)
    assert splits[39] == TRAIN and 4 <= (splits == VALIDATION).sum() <= 12
    if how == "time":
        assert (splits[31:39] == VALIDATION).all()
