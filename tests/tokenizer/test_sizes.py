from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.pipeline import build_from
from textus.errors import TokenizerError
from textus.storage import read_json
from textus.tokenizer import sizes, train
from textus.tokenizer.config import TokenizerConfig
from textus.tokenizer.sizes import Size, bigram_bits, choose
from textus.tokenizer.train import assembled, learnt

TOKENS = st.lists(st.integers(0, 4), min_size=2, max_size=40)


def naive_bits(seen: list[int], asked: list[int], vocab_size: int) -> float:
    """The model as its docstring says it, with dictionaries."""
    singles, pairs, follows = Counter(seen), Counter(pairwise(seen)), defaultdict(set)
    for left, right in pairs:
        follows[left].add(right)
    before = Counter(seen[:-1])
    bits = 0.0
    for left, right in pairwise(asked):
        probability = (singles[right] + 0.5) / (len(seen) + 0.5 * vocab_size)
        if before[left]:
            probability *= 0.75 * len(follows[left]) / before[left]
            probability += max(pairs[left, right] - 0.75, 0) / before[left]
        bits -= math.log2(probability)
    return bits


@given(TOKENS, TOKENS)
def test_bits_are_those_of_the_definition(seen, asked):
    assert bigram_bits(np.array(seen), np.array(asked), 6) == pytest.approx(naive_bits(seen, asked, 6))


@given(TOKENS, st.integers(0, 5))
def test_the_model_is_a_distribution(seen, left):
    total = sum(2 ** -bigram_bits(np.array(seen), np.array([left, right]), 6) for right in range(6))
    assert total == pytest.approx(1)


def test_each_size_is_measured_as_if_it_had_been_trained_alone(texts):
    merges = learnt(Counter(word for text in texts for word in text.split(" ")), 1024)

    def make(size):
        return assembled(merges[: size - 260])

    found = sizes.measure(1500, make, texts[:20], texts[20:24])
    assert [size.vocab_size for size in found.sizes] == [512, 1024]
    for size in found.sizes:
        assert size.bytes_per_token == pytest.approx(make(size.vocab_size).bytes_per_token(texts[20:24]))
        assert size.embedding_parameters == size.vocab_size * 256
        assert 0 < size.bits_per_byte < 8
    assert found.sizes[0].rare < found.sizes[1].rare
    more = sizes.measure(1500, make, texts[:20], texts[20:24], scale=1000)
    assert more.sizes[1].rare < found.sizes[1].rare
    assert "<- chosen" in found.table().text() and found.as_dict()["chosen"] == found.chosen


def test_a_text_that_supports_no_candidate_has_one_size():
    found = sizes.measure(270, lambda size: assembled([]), ["abc"], ["abc"])
    assert [size.vocab_size for size in found.sizes] == [260]
    with pytest.raises(TokenizerError, match="no text to measure"):
        sizes.measure(270, lambda size: assembled([]), ["abc"], [""])


def test_the_choice_is_the_smallest_that_is_close_among_those_without_rare_tokens():
    def size(vocab_size: int, bits: float, rare: float) -> Size:
        return Size(vocab_size, 3.0, bits, rare, 0)

    assert choose([size(1, 2.0, 0.0), size(2, 1.0, 0.0), size(3, 0.995, 0.0), size(4, 0.5, 0.5)]) == 2
    assert choose([size(1, 2.0, 0.9), size(2, 1.0, 0.9)]) == 1


@given(st.integers(0, 50), st.lists(st.text(max_size=20), max_size=9))
def test_the_beginning_of_some_texts(most, texts):
    found = sizes.within(texts, most)
    assert found == texts[: len(found)] and (found or not texts)
    assert sum(len(text.encode()) for text in found[1:]) <= most


def test_build_measures_and_keeps_what_it_found(texts, tmp_path):
    documents = [Document(text, f"{number}") for number, text in enumerate(texts)]
    corpus = build_from(documents, "topics", tmp_path / "corpus", CorpusConfig())
    built = train.build(corpus, tmp_path / "tokenizer", TokenizerConfig(vocab_size="measured"))
    kept = read_json(tmp_path / "tokenizer" / train.SIZES)
    assert kept["chosen"] == built.vocab_size in sizes.CANDIDATES
    fixed = train.build(corpus, tmp_path / "fixed", TokenizerConfig(vocab_size=built.vocab_size))
    assert fixed.fingerprint == built.fingerprint and not (tmp_path / "fixed" / train.SIZES).exists()
    again = train.build(corpus, tmp_path / "tokenizer", TokenizerConfig(vocab_size="measured", encoder="tokenizers"))
    assert again.fingerprint == built.fingerprint and again.encoder == "tokenizers"
