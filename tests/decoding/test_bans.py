import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.generation.logits_process import (
    MinNewTokensLengthLogitsProcessor,
    NoBadWordsLogitsProcessor,
    SequenceBiasLogitsProcessor,
)

from textus.decoding.bans import BadWords, LogitBias, MinLength
from textus.decoding.history import History
from textus.errors import ConfigError

VOCAB = 6
TOKENS = st.integers(0, VOCAB - 1)
LOGITS = torch.randn(1, VOCAB, generator=torch.Generator().manual_seed(0))
WORDS = st.lists(st.lists(TOKENS, min_size=1, max_size=3), min_size=1, max_size=3, unique_by=tuple)


@given(st.lists(TOKENS, min_size=1, max_size=8), WORDS)
def test_bad_words_are_those_of_transformers(tokens, words):
    ours = BadWords(tuple(map(tuple, words)))(LOGITS, History.of([tokens]))
    assert torch.equal(ours, NoBadWordsLogitsProcessor(words)(torch.tensor([tokens]), LOGITS))


@given(st.dictionaries(TOKENS, st.floats(-9, 9), min_size=1))
def test_biases_are_those_of_transformers(biases):
    theirs = SequenceBiasLogitsProcessor([[[token], bias] for token, bias in biases.items()])
    ours = LogitBias(tuple(biases), tuple(biases.values()))(LOGITS, History.of([[0]]))
    torch.testing.assert_close(ours, theirs(torch.tensor([[0]]), LOGITS))


@given(st.integers(0, 5), st.integers(0, 5), st.integers(1, 5))
def test_the_minimum_is_that_of_transformers(prompt, written, least):
    history = History.of([[1] * (prompt + written)], written=[written])
    theirs = MinNewTokensLengthLogitsProcessor(prompt, least, [0, 3])
    ours = MinLength(least, (0, 3))(LOGITS, history)
    assert torch.equal(ours, theirs(torch.ones(1, prompt + written, dtype=torch.int64), LOGITS))


def test_rows_of_other_lengths_are_banned_each_by_its_own():
    logits = LOGITS.expand(2, VOCAB)
    history = History.of([[1, 2], [2]], written=[2, 0])
    assert BadWords(((1, 2, 0),))(logits, history).isinf().nonzero().tolist() == [[0, 0]]
    assert BadWords(((2, 5),))(logits, history).isinf().nonzero().tolist() == [[0, 5], [1, 5]]
    assert MinLength(1, (4,))(logits, history).isinf().nonzero().tolist() == [[1, 4]]


def test_mistakes_are_refused():
    with pytest.raises(ConfigError, match="no tokens"):
        BadWords(((1,), ()))
    with pytest.raises(ConfigError, match="distinct"):
        LogitBias((1, 1), (0.5, 0.5))
    with pytest.raises(ConfigError, match="one bias each"):
        LogitBias((1,), ())
    with pytest.raises(ConfigError, match="biases"):
        LogitBias((1,), (math.nan,))
