import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.dataset.labelled import Data, Examples, Order
from textus.dataset.pairs import Pairs

NAMED = Data("data", "tokenizer")
LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=40)


@given(LENGTHS, st.integers(0, 5), st.integers(1, 7))
def test_every_epoch_shows_each_example_once_in_another_order(lengths, seed, batch):
    order, count = Order(lengths, seed, batch), len(lengths)
    epochs = [order.places(range(epoch * count, (epoch + 1) * count)) for epoch in range(2)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert Order(lengths, seed, batch).places([count, 0]) == [epochs[1][0], epochs[0][0]]
    assert Order(lengths, seed, batch, ordered=True).places(range(count)) == list(range(count))


def test_a_batch_holds_texts_of_like_length_and_epochs_differ():
    lengths = np.random.Generator(np.random.Philox(1)).integers(1, 100, 512).tolist()
    order = Order(lengths, 3, 8)
    spread = [np.ptp([lengths[place] for place in order.places(range(at, at + 8))]) for at in range(0, 512, 8)]
    assert np.mean(spread) < 15  # of 99, and by chance some 77
    assert order.places(range(512)) != order.places(range(512, 1024))


def test_rows_are_padded_and_answers_with_them():
    examples = Examples([[5, 6, 7], [8]], [[1, -1, 0], [2]], NAMED, ordered=True)
    window = examples.rows([0, 1, 3])
    assert window.tokens.tolist() == [[5, 6, 7], [8, 0, 0], [8, 0, 0]]
    assert window.documents.tolist() == [[0, 0, 0], [0, -1, -1], [0, -1, -1]]
    assert window.labels.tolist() == [[1, -1, 0], [2, -1, -1], [2, -1, -1]]
    (source,) = examples.sources(3)
    assert (source.document, source.stop, examples.per_epoch, examples.split) == (1, 1, 2, NAMED)


def pairs(**changes):
    given = {"hard": 1, "ordered": True} | changes
    return Pairs([[1], [2], [3]], [[10], [11, 11], [12], [13]], [[0, 1], [1], [2]], [[3], [], [0, 3]], NAMED, **given)


def test_queries_stand_above_their_passages_each_once_and_what_answers_too_is_excluded():
    window = pairs().rows([0, 1, 2])
    shown = [row[row != 0].tolist() for row in window.tokens]
    assert shown[:3] == [[1], [2], [3]]
    passages = shown[3:]
    assert len(passages) == len({tuple(passage) for passage in passages})
    answers = {0: ([10], [11, 11]), 1: ([11, 11],), 2: ([12],)}
    for query, target in enumerate(window.targets.tolist()):
        assert passages[target] in answers[query]
        excluded = [passages[place] for place in window.excluded[query].nonzero().flatten().tolist()]
        assert excluded == [one for one in passages if one in answers[query] and one != passages[target]]


@pytest.mark.parametrize("hard", [0, 1, 2])
def test_as_many_negatives_are_shown_as_asked_for(hard):
    window = pairs(hard=hard).rows([2])
    assert len(window.tokens) == 2 + hard
    assert [source.document for source in pairs().sources(5)] == [2]


def test_which_answer_is_shown_depends_on_the_number_alone():
    drawn = pairs(ordered=False, seed=4)
    alone = [drawn.rows([number]).tokens[:2].tolist() for number in range(12)]
    assert alone == [pairs(ordered=False, seed=4).rows([number]).tokens[:2].tolist() for number in range(12)]
    assert {tuple(map(tuple, one)) for one in alone if one[0][0] == 1} >= {((1, 0), (11, 11)), ((1,), (10,))}
