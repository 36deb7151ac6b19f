"""What is held out: the right share, no leaks, and the same whatever the order."""

from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.config import CorpusConfig
from textus.corpus.deduplicate import content_digest
from textus.corpus.split import TEST, TRAIN, VALIDATION, as_times, by_document, by_tail, by_time
from textus.corpus.split_config import SplitConfig
from textus.errors import ConfigError, CorpusError


class Contents:
    """The digests and sizes of some texts."""

    def __init__(self, texts: list[str]) -> None:
        self.keys = np.frombuffer(b"".join(map(content_digest, texts)), ">u8").reshape(-1, 2).astype(np.uint64)
        self.sizes = np.array([len(text.encode()) for text in texts], np.int64)


def choose(texts: list[str], validation: float = 0.05, test: float = 0.0) -> np.ndarray:
    found = Contents(texts)
    return by_document(found.keys, found.sizes, {VALIDATION: validation, TEST: test})


TEXTS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 400)), min_size=4, max_size=80).map(
    lambda pairs: [f"{name} " + "x" * (size * (name + 1) % 401) for name, size in pairs]
)


@given(TEXTS, st.randoms(use_true_random=False), st.sampled_from([0.05, 0.2, 0.5]), st.sampled_from([0.0, 0.1]))
@settings(max_examples=60)
def test_the_choice_depends_on_content_alone(texts, random, validation, test):
    chosen = dict(zip(texts, choose(texts, validation, test), strict=True))
    shuffled = random.sample(texts, len(texts))
    assert dict(zip(shuffled, choose(shuffled, validation, test), strict=True)) == chosen


@given(TEXTS, st.sampled_from([0.0, 0.1]))
def test_duplicates_share_a_split_and_no_split_is_empty(texts, test):
    spaced = texts + [text.replace(" ", " \n ") for text in texts]
    splits = defaultdict(set)
    for text, split in zip(spaced, choose(spaced, 0.1, test), strict=True):
        splits[" ".join(text.split())].add(split)
    assert all(len(found) == 1 for found in splits.values())
    if len(splits) >= 3:
        assert set.union(*splits.values()) == ({TRAIN, VALIDATION, TEST} if test else {TRAIN, VALIDATION})


@pytest.mark.parametrize(("validation", "test"), [(0.05, 0.0), (0.05, 0.05), (0.3, 0.1)])
def test_shares_are_of_bytes(validation, test):
    sizes = np.random.default_rng(0).lognormal(6, 1.2, 2000).astype(int) + 1
    texts = [f"{number} " + "x" * size for number, size in enumerate(sizes)]
    found = Contents(texts)
    splits, total = choose(texts, validation, test), found.sizes.sum()
    assert found.sizes[splits == VALIDATION].sum() / total == pytest.approx(validation, rel=0.06)
    assert found.sizes[splits == TEST].sum() / total == pytest.approx(test, rel=0.06)


def test_a_giant_is_not_held_out_for_a_small_share():
    texts = [f"{number} " + "x" * 100 for number in range(40)] + ["giant " + "y" * 20_000]
    splits = choose(texts)
    assert splits[-1] == TRAIN
    assert VALIDATION in splits


def test_adding_documents_moves_few():
    texts = [f"{number} " + "x" * 100 for number in range(1000)]
    before = choose(texts)
    after = choose([*texts, *(f"new {number} " + "x" * 100 for number in range(20))])[:1000]
    assert (before != after).sum() <= 5


WORDS = st.text(st.sampled_from("ab é漢 \n"), max_size=400)


@given(WORDS, st.sampled_from([0.05, 0.3]), st.sampled_from([0.0, 0.2]))
def test_tails_hold_the_text_in_order(text, validation, test):
    parts = list(by_tail(text, CorpusConfig(validation_fraction=validation, test_fraction=test)))
    assert "".join("".join(words.split()) for _, words in parts) == "".join(text.split())
    names = [name for name, _ in parts]
    assert names == [name for name in ("train", "validation", "test") if name in names]


def test_tails_are_cut_at_paragraphs_and_near_their_share():
    text = "\n\n".join(f"Paragraph {number}. " + "word " * 40 for number in range(100))
    sizes = Counter()
    for name, words in by_tail(text, CorpusConfig(validation_fraction=0.1, test_fraction=0.05)):
        sizes[name] += len(words)
        assert words.startswith("Paragraph")
    assert sizes["validation"] / len(text) == pytest.approx(0.1, rel=0.15)
    assert sizes["test"] / len(text) == pytest.approx(0.05, rel=0.25)


def test_what_must_stay_is_trained_on_with_all_of_its_key():
    keys = np.array([[number // 2, 0] for number in range(40)], np.uint64)
    stays = np.arange(40) % 8 == 0
    splits = by_document(keys, np.ones(40, np.int64), {VALIDATION: 0.5}, stays)
    assert (splits[stays] == TRAIN).all() and (splits[1::8] == TRAIN).all()
    assert (splits == VALIDATION).sum() == pytest.approx(20, abs=2)
    assert not by_document(keys, np.ones(40, np.int64), {VALIDATION: 0.5}, np.ones(40, bool)).any()


TIMES = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 50)), min_size=3, max_size=60)


@given(TIMES, st.sampled_from([0.05, 0.2, 0.5]), st.sampled_from([0.0, 0.1, 0.4]))
def test_the_newest_are_held_out_and_ties_stay_together(documents, validation, test):
    times, sizes = (np.array([one[side] for one in documents]) for side in (0, 1))
    shares = {VALIDATION: validation, TEST: test}
    distinct = len(set(times.tolist()))
    if distinct < 2 + bool(test):
        with pytest.raises(CorpusError, match=f"{distinct} different times"):
            by_time(times.astype(float), sizes, shares)
        return
    splits = by_time(times.astype(float), sizes, shares)
    parts = [times[splits == split] for split in ([TRAIN, VALIDATION, TEST] if test else [TRAIN, VALIDATION])]
    assert all(len(part) for part in parts)
    assert all(older.max() < newer.min() for older, newer in pairwise(parts))
    if distinct == len(times) and not test:
        off = abs(sizes[splits == VALIDATION].sum() - validation * sizes.sum())
        assert off <= sizes.max()


def test_times_are_read_in_every_usual_form():
    day = datetime(2024, 5, 31, tzinfo=UTC).timestamp()
    assert (
        as_times(
            ["2024-05-31", "2024-05-31T00:00:00Z", "2024-05-31 02:00+02:00", date(2024, 5, 31), datetime(2024, 5, 31)],
            "d",
        ).tolist()
        == [day] * 5
    )
    assert as_times([1790, "1791", 1792.5, np.float64(1793)], "year").tolist() == [1790, 1791, 1792.5, 1793]
    assert as_times(["2024-02", "1066-10-14"], "d")[0] == datetime(2024, 2, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["2024-01-01", "soon"], "`when` must be all dates or all numbers; it is 'soon' in one document, which is nei"),
        (["2024-01-01", 2024], "it is 2024 in one document, but '2024-01-01' in another is a date"),
        ([True], "it is True"),
        ([float("inf"), 3], "it is inf"),
        (["nan"], "it is 'nan'"),
        ([["2024"]], "it is .'2024'."),
    ],
)
def test_what_is_no_time_is_named(values, words):
    with pytest.raises(CorpusError, match=words):
        as_times(values, "when")


@pytest.mark.parametrize("values", [{"how": "time"}, {"field": "year"}])
def test_a_field_is_named_where_it_is_needed_only(values):
    with pytest.raises(ConfigError, match="`field` must name a key"):
        SplitConfig(**values)
