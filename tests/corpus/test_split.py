"""What is held out: the right share, no leaks, and the same whatever the order."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.config import CorpusConfig
from textus.corpus.deduplicate import content_digest
from textus.corpus.split import TEST, TRAIN, VALIDATION, Contents, by_document, by_tail


def contents(texts: list[str]) -> Contents:
    found = Contents()
    for text in texts:
        found.append(content_digest(text), len(text.encode()))
    return found


def choose(texts: list[str], validation: float = 0.05, test: float = 0.0) -> np.ndarray:
    found = contents(texts)
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
    found = contents(texts)
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
