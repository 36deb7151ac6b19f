"""What of the held-out part was seen in training, held against comparing everything with everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.duplicates.config import LeakageConfig
from textus.corpus.duplicates.leakage import NO_MATCH, HeldOut, Leakage, known, straddling
from textus.corpus.duplicates.verify import Overlaps, shingle_sets

CONFIG = LeakageConfig()


def sets_of(texts: list[str]):
    return shingle_sets(TextBatch(texts))


def as_sets(texts: list[str]) -> list[set[int]]:
    shingles, offsets = sets_of(texts)
    return [set(part.tolist()) for part in np.split(shingles, offsets[1:-1])]


def search(train: list[str], held_out: list[str], batch: int = 100) -> Leakage:
    index = HeldOut.of(*sets_of(held_out), CONFIG)
    parts = [
        index.seen_in(*sets_of(train[start : start + batch]), first=start) for start in range(0, len(train), batch)
    ]
    return Leakage.of(parts, len(held_out))


PASSAGES = st.lists(st.integers(0, 3), min_size=0, max_size=3)
"""Documents put together of four passages of ten words."""


def text_of(passages: list[int]) -> str:
    return " ".join(f"w{passage}x{place}" for passage in passages for place in range(10))


@given(st.lists(PASSAGES, min_size=1, max_size=8), st.lists(PASSAGES, min_size=1, max_size=8), st.integers(1, 4))
@settings(max_examples=25)
def test_every_match_is_true_and_none_of_short_documents_is_missed(train, held_out, batch) -> None:
    texts, others = [text_of(one) for one in train], [text_of(one) for one in held_out]
    found = search(texts, others, batch)
    seen, hidden = as_sets(texts), as_sets(others)
    for number, runs in enumerate(hidden):
        scores = [
            (len(runs & one) / len(runs), len(runs & one) / len(runs | one), -place)
            for place, one in enumerate(seen)
            if runs and (len(runs & one) >= 0.8 * len(runs) or len(runs & one) >= 0.5 * len(runs | one))
        ]
        if not scores:
            assert found.matches[number] == NO_MATCH
        elif len(runs) <= 64 or found.matches[number] != NO_MATCH:  # of a larger one the sample may miss
            containment, likeness, place = max(scores)
            assert found.matches[number] == -place or len(runs) > 64
            assert found.containment[number] <= containment + 1e-9
            if len(runs) <= 64:
                assert (found.containment[number], found.likeness[number]) == pytest.approx((containment, likeness))


def words(rng: np.random.Generator, number: int) -> list[str]:
    return [f"w{word}" for word in rng.integers(0, 100_000, number)]


@pytest.mark.parametrize("copies", [1, 200])
def test_leaked_documents_are_found_and_clean_ones_are_not(copies: int) -> None:
    rng = np.random.default_rng(0)
    held_out = [words(rng, 300) for _ in range(200)]
    shared = [one[:230] + words(rng, 70) for one in held_out[:100]]  # Jaccard 0.62
    whole = [words(rng, 2000) + one + words(rng, 2000) for one in held_out[100:150]]  # contained
    train = [" ".join(one) for one in shared + whole + [words(rng, 300) for _ in range(50)]]
    texts = [" ".join(one) for one in held_out]
    found = search(train, texts + texts[:1] * (copies - 1))
    assert found.matches[:200].tolist() == [*range(150), *[NO_MATCH] * 50]
    summary = found.summary(np.full(199 + copies, 10))
    assert (found.matches[200:] == 0).all()
    assert summary.leaked_documents == 149 + copies and summary.leaked_bytes == 10 * (149 + copies)
    assert summary.share == summary.share_of_bytes == pytest.approx((149 + copies) / (199 + copies))
    assert len(summary.worst) == 20 and summary.worst[0].containment == 1.0


def test_parts_add_up_in_any_order() -> None:
    rng = np.random.default_rng(1)
    held_out = [" ".join(words(rng, 50)) for _ in range(5)]
    index = HeldOut.of(*sets_of(held_out), CONFIG)
    parts = [index.seen_in(*sets_of([text, text + " more"]), first=10 * n) for n, text in enumerate(held_out)]
    one, other = Leakage.of(parts, 5), Leakage.of(parts[::-1], 5)
    assert one.matches.tolist() == other.matches.tolist() == [0, 10, 20, 30, 40]
    assert (one.likeness == other.likeness).all()


def test_nothing_held_out_and_nothing_to_train_on_leak_nothing() -> None:
    assert Leakage.of([], 2).matches.tolist() == [NO_MATCH, NO_MATCH]
    empty = Leakage.of([], 0).summary(np.zeros(0, np.int64))
    assert empty.share == empty.share_of_bytes == 0 and empty.worst == ()
    assert len(HeldOut.of(*sets_of([]), CONFIG).seen_in(*sets_of(["a b c d e f"])).train) == 0
    assert len(HeldOut.of(*sets_of(["...", ""]), CONFIG).seen_in(*sets_of(["!", "a"])).train) == 0


@given(st.lists(PASSAGES, max_size=6), st.lists(PASSAGES, min_size=1, max_size=8))
@settings(max_examples=25)
def test_after_what_is_known_is_trained_on_nothing_leaks(train, held_out) -> None:
    texts, others = [text_of(one) for one in train], [text_of(one) for one in held_out]
    index = HeldOut.of(*sets_of(others), CONFIG)
    among, at_once = index.among(runs=15), index.seen_in(*sets_of(others))
    assert all((getattr(among, name) == values).all() for name, values in vars(at_once).items())
    moved = known(search(texts, others), among)
    left = [text for text, gone in zip(others, moved, strict=True) if not gone]
    again = search(texts + [text for text, gone in zip(others, moved, strict=True) if gone], left)
    small = [len(runs) <= 64 for runs in as_sets(left)] if left else []
    assert not (again.matches != NO_MATCH)[small].any()


def test_what_straddles_leaves_training() -> None:
    pairs = np.array([[0, 1], [0, 2], [1, 2], [2, 3]])
    found = Overlaps(np.array([9, 9, 9, 1]), np.full(4, 10), np.full(4, 10))
    held_out = np.array([True, False, True, False])
    assert straddling(pairs, found, held_out[pairs], 0.5).tolist() == [1]


@given(st.lists(PASSAGES, min_size=1, max_size=8), st.lists(PASSAGES, min_size=1, max_size=8))
@settings(max_examples=25)
def test_every_document_that_shows_another_is_a_holder(train, held_out) -> None:
    texts = [text_of(one) for one in train]
    index = HeldOut.of(*sets_of([text_of(one) for one in held_out]), CONFIG)
    hashes, offsets = TextBatch(texts).ngrams(5)
    holders = index.holders((hashes >> np.uint64(32)).astype(np.uint32), offsets)
    assert set(index.seen_in(*sets_of(texts)).train.tolist()) <= set(holders.tolist())
