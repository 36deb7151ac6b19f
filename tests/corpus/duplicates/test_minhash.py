"""Signatures: of the text alone, and shared as often as the formula says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.duplicates.config import DuplicatesConfig
from textus.corpus.duplicates.minhash import NO_KEY, band_keys, keys_of
from textus.errors import ConfigError

TEXTS = st.lists(st.text(st.sampled_from("aAbBcd é漢 .\n"), max_size=60), max_size=8)
SMALL = DuplicatesConfig(bands=3, rows=2)


@given(TEXTS)
@settings(max_examples=25)
def test_a_signature_depends_on_its_text_alone(texts: list[str]) -> None:
    together = band_keys(TextBatch(texts), SMALL)
    assert together.shape == (len(texts), 3)
    for text, keys in zip(texts, together, strict=True):
        assert (band_keys(TextBatch([text]), SMALL) == keys).all()
        assert (keys == NO_KEY).all() == (TextBatch([text]).words.counts[0] == 0)


@given(st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=6), min_size=1, max_size=6))
@settings(max_examples=40)
def test_signatures_are_those_of_the_least_of_each_order(sets: list[list[int]]) -> None:
    offsets = np.cumsum([0] + [len(part) for part in sets])
    keys = keys_of(np.array([run for part in sets for run in part], np.uint64), offsets, SMALL)
    for part, own in zip(sets, keys, strict=True):
        shuffled = np.array(sorted(set(part)), np.uint64)
        assert (keys_of(shuffled, np.array([0, len(shuffled)]), SMALL)[0] == own).all()
    bands = [set(keys[:, band].tolist()) - {int(NO_KEY)} for band in range(3)]
    assert not bands[0] & bands[1] and not bands[1] & bands[2]


@pytest.mark.parametrize("likeness", [0.3, 0.5, 0.7, 0.8])
def test_pairs_are_found_as_often_as_the_formula_says(likeness: float) -> None:
    config, rng, pairs, size = DuplicatesConfig(bands=12, rows=4), np.random.default_rng(5), 2000, 60
    shared = round(2 * size * likeness / (1 + likeness))
    both = rng.integers(0, 2**64, (pairs, 2, size), dtype=np.uint64)
    both[:, 1, :shared] = both[:, 0, :shared]
    keys = keys_of(both.reshape(-1), np.arange(0, 2 * pairs * size + 1, size), config).reshape(pairs, 2, -1)
    found = (keys[:, 0] == keys[:, 1]).any(axis=1).mean()
    wanted = config.recall(shared / (2 * size - shared))
    assert abs(found - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / pairs) + 0.002


def test_the_default_finds_what_it_promises() -> None:
    assert DuplicatesConfig().recall(0.8) > 0.9999
    assert DuplicatesConfig().recall(DuplicatesConfig().related) > 0.8
    assert DuplicatesConfig(bands=14, rows=8).recall(0.8) == pytest.approx(0.924, abs=0.001)


def test_signatures_are_the_same_on_every_machine_and_in_every_version() -> None:
    keys = band_keys(TextBatch(["To be, or not to be, that is the question"]), SMALL)
    assert keys.tolist() == [[2670923725145664624, 17703456972411249395, 7748662010142517438]]


def test_seeds_give_other_signatures() -> None:
    batch = TextBatch(["To be, or not to be, that is the question"])
    one, other = (band_keys(batch, DuplicatesConfig(seed=seed)) for seed in (0, 1))
    assert not (one == other).any()


def test_more_minima_than_are_useful_are_refused() -> None:
    with pytest.raises(ConfigError, match="512 bands x 32 rows"):
        DuplicatesConfig(bands=512, rows=32)
