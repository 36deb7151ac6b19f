import torch
from hypothesis import given
from hypothesis import strategies as st

from textus.decoding.history import NO_TOKEN, History, ids

ROWS = st.lists(st.lists(st.integers(0, 9), max_size=7), min_size=1, max_size=4)


@given(ROWS, st.data())
def test_rows_of_any_length_come_back_as_prompt_and_written(rows, data):
    written = [data.draw(st.integers(0, len(row))) for row in rows]
    history = History.of(rows, written)
    for number, (row, count) in enumerate(zip(rows, written, strict=True)):
        assert history.row(number) == (row[: len(row) - count], row[len(row) - count :])


def test_filling_stands_on_the_left():
    assert History.of([[1], [1, 2]]).tokens.tolist() == [[NO_TOKEN, 1], [1, 2]]


def test_ids_are_made_once_for_a_device():
    cpu = torch.device("cpu")
    with torch.inference_mode():
        first = ids((3, 4), cpu)
    assert first is ids((3, 4), cpu) and not first.is_inference()
