"""Frames from process to process."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.serving import frames

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Drops(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = io.BytesIO(data), size

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, self._size))


@given(st.lists(values, min_size=1, max_size=4), st.integers(1, 9))
def test_what_is_sent_arrives_however_the_pipe_cuts_it(sent: list[Any], size: int) -> None:
    data = b"".join(map(frames.packed, sent))
    pipe: Any = Drops(data, size)
    assert [frames.read(pipe) for _ in sent] == sent
    with pytest.raises(EOFError):
        frames.read(pipe)

    async def received() -> list[Any]:
        reader = asyncio.StreamReader()
        for start in range(0, len(data), size):
            reader.feed_data(data[start : start + size])
        reader.feed_eof()
        found = [await frames.receive(reader) for _ in sent]
        with pytest.raises(EOFError):
            await frames.receive(reader)
        return found

    assert asyncio.run(received()) == sent


def test_part_of_a_frame_is_none() -> None:
    whole = frames.packed({"a": 1})
    for end in range(len(whole)):
        with pytest.raises(EOFError):
            frames.read(io.BytesIO(whole[:end]))


def test_no_frame_holds_what_json_does_not_know() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        frames.packed(float("nan"))
