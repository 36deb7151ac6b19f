from __future__ import annotations

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.dataset.loader import Loader, ahead
from textus.dataset.pack import Windows
from textus.errors import ConfigError


@pytest.fixture
def windows(make_split):
    return Windows(make_split([11, 0, 5, 30, 2, 8]), 4, 1, seed=1)


@pytest.mark.parametrize("world", [1, 2, 3, 6])
def test_ranks_together_see_the_same_batch_whatever_their_number(windows, world):
    for step in range(5):
        whole = Loader(windows, 6).window(step)
        parts = [Loader(windows, 6, rank, world).window(step) for rank in range(world)]
        assert torch.equal(torch.cat([part.tokens for part in parts]), whole.tokens)
        assert torch.equal(torch.cat([part.predict for part in parts]), whole.predict)


def test_steps_follow_one_another_through_epochs(windows):
    loader = Loader(windows, 7)
    steps = 3 * windows.per_epoch
    shown = [loader.window(step).tokens for step in range(steps)]
    assert torch.equal(torch.cat(shown), windows.rows(range(7 * steps)).tokens)


def test_prefetching_changes_nothing(windows):
    loader = Loader(windows, 6, rank=1, world=2)
    for first, stop in ((0, 9), (4, 5), (3, 3)):
        ahead = [window.tokens for window in loader.prefetch(first, stop)]
        assert [tokens.tolist() for tokens in ahead] == [
            loader.window(step).tokens.tolist() for step in range(first, stop)
        ]


def test_closing_a_prefetch_ends_its_thread(windows):
    before = set(threading.enumerate())
    steps = Loader(windows, 6).prefetch(0, 10**9)
    next(steps)
    assert set(threading.enumerate()) - before
    steps.close()
    assert set(threading.enumerate()) <= before


def test_what_goes_wrong_in_the_thread_is_raised_at_its_step(windows):
    class Broken(Loader):
        def window(self, step):
            if step == 2:
                raise OSError("the disk went away")
            return super().window(step)

    steps = Broken(windows, 6).prefetch(0, 10)
    next(steps), next(steps)
    with pytest.raises(OSError, match="went away"):
        next(steps)


@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=8),
    rows=st.integers(1, 9),
    world=st.integers(1, 9),
    context=st.integers(2, 9),
    seed=st.integers(0, 9),
)
def test_ranks_show_each_token_once_an_epoch_between_them(make_split, lengths, rows, world, context, seed):
    lengths = [*lengths, context + 1]
    windows = Windows(make_split(lengths), context, 1, seed=seed)
    world = min(world, rows)
    steps = -(-windows.per_epoch // rows)
    loaders = [Loader(windows, rows, rank, world) for rank in range(world)]
    shares = [[loader.numbers(step).tolist() for loader in loaders] for step in range(steps)]
    shown = [number for step in shares for share in step for number in share]
    assert shown == list(range(rows * steps)), "disjoint, complete, and in the order of one process"
    sizes = {len(share) for step in shares for share in step}
    assert max(sizes) - min(sizes) <= 1
    asked = [
        token
        for step in range(steps)
        for loader, share in zip(loaders, shares[step], strict=True)
        for row, number in enumerate(share)
        if number < windows.per_epoch
        for token in loader.window(step).tokens[row][loader.window(step).predict[row]].tolist()
    ]
    firsts = {1 + sum(lengths[:document]) for document in range(len(lengths))}
    assert sorted(asked) == [token for token in range(1, sum(lengths) + 1) if token not in firsts]


def test_more_ranks_than_rows_are_refused(windows):
    with pytest.raises(ConfigError, match="5 windows a step cannot be shared by 6") as caught:
        Loader(windows, 5, rank=0, world=6)
    assert "training.batch_tokens" in caught.value.hint


def test_anything_can_be_made_ahead():
    made = []
    steps = ahead(lambda step: made.append(step) or step * step, 3, 8)
    assert next(steps) == 9
    assert list(steps) == [16, 25, 36, 49]
    assert made == [3, 4, 5, 6, 7]
