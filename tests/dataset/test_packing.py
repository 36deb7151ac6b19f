"""Examples in rows: each whole, each once an epoch, none seeing another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.dataset.examples import Examples, Gathered
from textus.dataset.packing import Packed, best_fit
from textus.dataset.window import PADDING
from textus.errors import ArtefactError, CorpusError

ROOM = 9


def made(sizes: list[int], vocab_size: int = 50_000) -> Examples:
    gathered = Gathered(vocab_size)
    for number, size in enumerate(sizes):
        gathered.add([number * 10 + at for at in range(size)], [at % 2 == 1 for at in range(size)])
    return gathered.examples("train")


@given(st.lists(st.integers(1, ROOM), min_size=1, max_size=40))
def test_rows_are_not_overfull_and_half_full_at_least(sizes):
    rows = best_fit(np.array(sizes), ROOM)
    assert sorted(item for row in rows for item in row) == list(range(len(sizes)))
    filled = [sum(sizes[item] for item in row) for row in rows]
    assert max(filled) <= ROOM
    assert sum(filled) * 2 > ROOM * (len(rows) - 1)  # two rows that are half full at most would have been one


@settings(max_examples=40)
@given(st.lists(st.integers(1, ROOM), min_size=1, max_size=12), st.integers(0, 5), st.booleans())
def test_every_example_is_shown_whole_once_an_epoch(sizes, epoch, ordered):
    examples = made(sizes)
    packed = Packed(examples, ROOM - 1, seed=3, ordered=ordered)
    first = epoch * packed.per_epoch
    window = packed.rows(range(first, first + packed.per_epoch))
    shown = []
    for row in range(packed.per_epoch):
        documents = window.documents[row].tolist()
        for number, source in enumerate(packed.sources(first + row)):
            inside = [at for at, document in enumerate(documents) if document == number]
            tokens = examples.tokens[examples.offsets[source.document] :][: source.stop].tolist()
            assert window.tokens[row][inside].tolist() == tokens
            assert window.predict[row][inside].tolist() == [at % 2 == 1 for at in range(source.stop)]
            shown.append(source.document)
        assert not window.predict[row][window.documents[row] == PADDING].any()
    assert sorted(shown) == list(range(len(sizes)))
    assert packed.filled == pytest.approx(sum(sizes) / (packed.per_epoch * ROOM))
    again = Packed(examples, ROOM - 1, seed=3, ordered=ordered).rows([first + packed.per_epoch - 1])
    assert again.tokens.tolist() == window.tokens[-1:].tolist()


def test_what_belongs_together_shares_a_row() -> None:
    packed = Packed(made([4, 5, 1, 2, 3, 3]), ROOM - 1, seed=1, together=2)
    pairs = [packed.examples(number).tolist() for number in range(packed.per_epoch)]
    assert sorted(pairs) == [[0, 1], [4, 5, 2, 3]]


def test_orders_differ_by_epoch_and_seed() -> None:
    examples = made([9] * 8)
    orders = {
        tuple(int(Packed(examples, ROOM - 1, seed).examples(8 * epoch + place)[0]) for place in range(8))
        for seed in (1, 2)
        for epoch in (0, 1)
    }
    assert len(orders) == 4


@pytest.mark.parametrize("vocab_size", [300, 70_000])
def test_examples_come_back_from_disk(vocab_size: int, tmp_path: Path) -> None:
    examples = made([3, 1, 4], vocab_size)
    examples.save(tmp_path)
    found = Examples.open(tmp_path, "train", data="d", tokenizer="t")
    assert [found.tokens.tolist(), found.asked.tolist(), found.offsets.tolist()] == [
        examples.tokens.tolist(), examples.asked.tolist(), [0, 3, 4, 8],
    ]  # fmt: skip
    assert (len(found), found.num_tokens, found.num_asked) == (3, 8, 3)
    assert found.tokens.dtype.itemsize == (2 if vocab_size == 300 else 4)
    (tmp_path / "train-asked.npy").write_bytes(b"no array")
    with pytest.raises(ArtefactError, match="its examples are damaged"):
        Examples.open(tmp_path, "train", data="", tokenizer="")


def test_nothing_is_not_packed() -> None:
    with pytest.raises(CorpusError, match="the train part has no example"):
        Packed(made([]), ROOM, seed=1)
