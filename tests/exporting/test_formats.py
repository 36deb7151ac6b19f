"""Formats and their types."""

from __future__ import annotations

import pytest

from textus.errors import ConfigError
from textus.exporting.formats import TYPES, chosen


def test_each_type_of_each_format_is_taken_and_the_first_where_none_is_asked_for() -> None:
    for made, types in TYPES.items():
        assert [chosen(made, kind) for kind in types] == [(made, kind) for kind in types]
        assert chosen(made, "default") == (made, types[0])


@pytest.mark.parametrize(
    ("to", "kind", "words", "hint"),
    [
        ("ggfu", "default", "no format `ggfu`", "did you mean `gguf`?"),
        ("safetensors", "f32", "no format `safetensors`", "formats: gguf, onnx"),
        ("gguf", "int8", "no type `int8` in the format gguf", "gguf has f16, f32, q8_0"),
        ("onnx", "f16", "no type `f16` in the format onnx", "onnx has f32, int8"),
        ("", "f32", "no format ``", "formats: "),
    ],
)
def test_others_are_refused(to: str, kind: str, words: str, hint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        chosen(to, kind)
    assert refused.value.message == words
    assert hint in refused.value.hint
