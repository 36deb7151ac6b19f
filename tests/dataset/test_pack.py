from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textus.dataset.pack import Source, Windows
from textus.errors import CorpusError

END = 0


def slow_window(windows: Windows, number: int) -> tuple[list[int], list[int], list[bool]]:
    """The definition, token by token: the oracle of `rows`."""
    epoch, place = divmod(number, windows.per_epoch)
    order = windows._order(epoch)
    stream = [
        (token, rank, at == 0)
        for rank, index in enumerate(order.documents.tolist())
        for at, token in enumerate(windows.split.document(index).tolist())
    ]
    start = int(order.windows[place]) * windows.context_length
    row = stream[start : start + windows.time]
    padding = windows.time - len(row)
    tokens = [token for token, _, _ in row] + [END] * padding
    documents = [rank - row[0][1] for _, rank, _ in row] + [-1] * padding
    predict = [column >= windows.offset and not first for column, (_, _, first) in enumerate(row)]
    return tokens, documents, predict + [False] * padding


lengths_strategy = st.lists(st.integers(0, 30), min_size=1, max_size=12)


@given(
    lengths_strategy, st.integers(1, 12), st.sampled_from([0, 1]), st.integers(0, 2**64 - 1), st.booleans(), st.data()
)
def test_rows_are_what_the_definition_says(make_split, lengths, context, offset, seed, ordered, data):
    files = data.draw(st.integers(1, min(3, len(lengths))))
    split = make_split(lengths, files)
    if split.num_tokens - offset < context:
        return
    windows = Windows(split, context, offset, seed, ordered=ordered)
    numbers = data.draw(st.lists(st.integers(0, 3 * windows.per_epoch - 1), min_size=1, max_size=8))
    got = windows.rows(numbers)
    expected = [slow_window(windows, number) for number in numbers]
    assert got.tokens.tolist() == [tokens for tokens, _, _ in expected]
    assert got.documents.tolist() == [documents for _, documents, _ in expected]
    assert got.predict.tolist() == [predict for _, _, predict in expected]


@given(lengths_strategy, st.integers(1, 12), st.sampled_from([0, 1]), st.integers(0, 2**32), st.integers(0, 3))
def test_every_token_with_a_predecessor_is_asked_once_an_epoch(make_split, lengths, context, offset, seed, epoch):
    split = make_split(lengths)
    if split.num_tokens - offset < context:
        return
    windows = Windows(split, context, offset, seed)
    first = epoch * windows.per_epoch
    shown = windows.rows(range(first, first + windows.per_epoch))
    asked = Counter(shown.tokens[shown.predict].tolist())
    total = sum(lengths)
    assert asked == {**dict.fromkeys(range(1, total + 1), 1), END: len(lengths)}


@given(lengths_strategy, st.integers(1, 12), st.integers(0, 2**32))
def test_the_token_before_an_asked_one_stands_beside_it(make_split, lengths, context, seed):
    split = make_split(lengths)
    if split.num_tokens - 1 < context:
        return
    windows = Windows(split, context, 1, seed)
    shown = windows.rows(range(windows.per_epoch))
    for tokens, documents, predict in zip(shown.tokens, shown.documents, shown.predict, strict=True):
        for at in torch.nonzero(predict).flatten().tolist():
            assert at > 0 and documents[at - 1] == documents[at]
            if tokens[at] != END and tokens[at - 1] != END:
                assert tokens[at] == tokens[at - 1] + 1


@given(lengths_strategy, st.integers(1, 12), st.sampled_from([0, 1]), st.integers(0, 2**32), st.data())
def test_sources_name_the_tokens_of_a_window(make_split, lengths, context, offset, seed, data):
    split = make_split(lengths)
    if split.num_tokens - offset < context:
        return
    windows = Windows(split, context, offset, seed)
    number = data.draw(st.integers(0, 2 * windows.per_epoch))
    named = np.concatenate([split.document(s.document)[s.start : s.stop] for s in windows.sources(number)])
    shown = windows.rows([number])
    assert named.tolist() == shown.tokens[shown.documents >= 0].tolist()


def test_sources_of_a_known_window(make_split):
    windows = Windows(make_split([4, 2, 6]), 4, 1, seed=0, ordered=True)
    assert windows.per_epoch == 5
    assert windows.sources(2) == [Source(1, 2, 4), Source(2, 0, 3)]
    assert windows.sources(4) == [Source(2, 6, 8)]
    assert windows.sources(5) == windows.sources(0)


def test_epochs_differ_and_a_seed_repeats(make_split):
    split = make_split([7] * 50)
    windows = Windows(split, 16, 1, seed=3)
    first, second = (windows.rows(range(e * windows.per_epoch, (e + 1) * windows.per_epoch)).tokens for e in (0, 1))
    assert not torch.equal(first, second)
    assert not torch.equal(first, Windows(split, 16, 1, seed=4).rows(range(windows.per_epoch)).tokens)
    assert torch.equal(first, Windows(split, 16, 1, seed=3).rows(range(windows.per_epoch)).tokens)
    ordered = Windows(split, 16, 1, seed=3, ordered=True)
    assert torch.equal(ordered.rows([0]).tokens, ordered.rows([ordered.per_epoch]).tokens)
    assert ordered.rows([0]).tokens[0].tolist() == split.tokens(0, 17).tolist()


def test_the_order_is_the_same_for_good(make_split):
    windows = Windows(make_split([1] * 8), 4, 1, seed=7)
    assert windows._order(1).documents.tolist() == [3, 1, 6, 2, 5, 4, 0, 7]


def test_only_two_epochs_are_kept(make_split):
    windows = Windows(make_split([5] * 4), 4, 1, seed=0)
    for epoch in (0, 1, 2, 1, 5):
        windows.rows([epoch * windows.per_epoch])
    assert sorted(windows._orders) == [2, 5]


def test_rows_that_are_one_document_are_told_apart(make_split):
    windows = Windows(make_split([9, 2]), 5, 1, seed=0, ordered=True)
    shown = windows.rows([0, 1, 2])
    assert shown.documents.tolist() == [[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 1, -1]]
    assert shown.one_document.tolist() == [True, True, False]
    assert shown.num_predictions == 13


def test_a_context_longer_than_the_training_text_is_refused(make_split):
    split = make_split([3, 4])
    with pytest.raises(CorpusError, match="train part: 11 tokens") as caught:
        Windows(split, 11, 1, seed=0)
    assert "10 or less" in caught.value.hint
    assert Windows(split, 10, 1, seed=0).per_epoch == 1


def test_a_validation_text_shorter_than_the_context_is_padded(make_split):
    windows = Windows(make_split([3]), 8, 1, seed=0, ordered=True)
    assert windows.rows([0]).tokens.tolist() == [[0, 1, 2, 3, 0, 0, 0, 0, 0]]
    assert windows.rows([0]).num_predictions == 4
