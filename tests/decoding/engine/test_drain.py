"""What is taken in one is what comes piece by piece."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.decoding.engine.config import EngineConfig
from textus.decoding.engine.engine import Engine
from textus.decoding.processors import Temperature
from textus.decoding.strategy import Sample
from textus.decoding.writer import Ending
from textus.tokenizer.stream import StreamDecoder


@pytest.mark.parametrize("way", ["cpu", "gpu"])
@pytest.mark.parametrize("ending", [{}, {"stop": ["q"]}, {"stop_tokens": [260, 270]}, {"loops": 2}], ids=str)
def test_texts_counts_and_ends_are_the_same(model: Any, tokenizer: Any, way: Any, ending: dict[str, Any]) -> None:
    def begun() -> tuple[Engine, list[Any]]:
        engine = Engine(model, tokenizer, EngineConfig(batch_size=4, cache_tokens=128), way)
        prompts = [[tokenizer.end, *tokenizer.encode(text)] for text in ("the", "a fox", "over")]
        draw = Sample(Temperature(1.5))
        return engine, [engine.submit(one, draw, Ending(12, **ending), seed=3, row=n) for n, one in enumerate(prompts)]

    _, handles = begun()
    pieces = [list(handle) for handle in handles]
    engine, handles = begun()
    found: list[list[Any]] = [["", 0, ""] for _ in handles]
    going = True
    while going:
        going = engine.step()
        for row, handle in zip(found, handles, strict=True):
            text, count, reason = handle.drain()
            row[:] = row[0] + text, row[1] + count, reason or row[2]
    assert found == [
        ["".join(one.text for one in row), sum(one.finish_reason != "end" for one in row), row[-1].finish_reason]
        for row in pieces
    ]
    assert all(handle.drain() == ("", 0, "") for handle in handles)


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=3), max_size=8), st.lists(st.integers(0, 3), max_size=8))
def test_several_tokens_at_once_are_the_same_text(tokens: list[bytes], cuts: list[int]) -> None:
    one, several = StreamDecoder(tokens.__getitem__), StreamDecoder(tokens.__getitem__)
    wanted = "".join(one.push(number) for number in range(len(tokens))) + one.flush()
    found, at = "", 0
    for size in [*cuts, len(tokens)]:
        found += several.extend(range(at, min(at + size, len(tokens))))
        at = min(at + size, len(tokens))
    assert found + several.flush() == wanted
