from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers, trainers

from textus.tokenizer import merges
from textus.tokenizer.config import TokenizerConfig
from textus.tokenizer.content import SPECIAL_TOKENS, finish, untrained
from textus.tokenizer.merges import learn_merges
from textus.tokenizer.train import train_tokenizer

WORDS = st.dictionaries(
    st.lists(st.sampled_from([b"a", b"b", b"c", b"aa", b"ab"]), min_size=1, max_size=12).map(b"".join),
    st.integers(1, 9),
    max_size=12,
)


def brute_force(words: dict[bytes, int], most: int, least: int) -> list[tuple[int, int]]:
    """Count every pair of every word anew for each merge: the definition."""
    texts, found = [(list(word), count) for word, count in words.items()], []
    while len(found) < most:
        pairs: Counter[tuple[int, int]] = Counter()
        for tokens, count in texts:
            for pair in pairwise(tokens):
                pairs[pair] += count
        best = min(pairs, key=lambda pair: (-pairs[pair], pair), default=None)
        if best is None or pairs[best] < least:
            break
        for tokens, _ in texts:
            place = 0
            while place < len(tokens) - 1:
                if (tokens[place], tokens[place + 1]) == best:
                    tokens[place : place + 2] = [256 + len(found)]
                place += 1
        found.append(best)
    return found


@pytest.mark.parametrize("many", [0, 2, 1000])
@given(words=WORDS, most=st.integers(0, 30), least=st.integers(1, 4))
@example(words={b"aaaaaaa": 1, b"baaab": 2, b"aa": 3}, most=30, least=1)
@example(words={b"abababab": 1, b"ababa": 2, b"bab": 3}, most=30, least=1)
@example(words={}, most=3, least=1)
def test_merges_are_those_of_the_definition(words, most, least, many):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merges, "_MANY", many)  # both ways of merging, and the two mixed
        found = learn_merges(words, list(words.values()), range(256), most, least)
    assert found == brute_force(words, most, least)


@given(WORDS, st.integers(0, 30))
def test_a_smaller_vocabulary_is_the_beginning_of_a_larger(words, most):
    whole = learn_merges(words, list(words.values()), range(256), 1000)
    assert learn_merges(words, list(words.values()), range(256), most) == whole[:most]


def test_counts_beyond_32_bits_are_exact():
    large = 1 << 40
    assert learn_merges([b"ab", b"cd", b"ef"], [large, large + 1, 1], range(256), 2) == [(99, 100), (97, 98)]


def test_the_file_is_the_librarys_to_the_last_byte(texts):
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        min_frequency=2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    engine = untrained()
    engine.train_from_iterator(texts, trainer)
    ours = train_tokenizer(texts, TokenizerConfig(vocab_size=2048), sum(len(text.encode()) for text in texts))
    assert json.loads(ours._content) == json.loads(finish(engine))
    assert ours._content == finish(engine)
