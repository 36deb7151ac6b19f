"""The formats that a model is exported to, and the types of numbers that each has."""

from __future__ import annotations

import difflib
from typing import Literal

from textus.errors import ConfigError

Format = Literal["gguf", "onnx", "card"]
Type = Literal["f32", "f16", "q8_0", "int8", "text"]
TYPES: dict[Format, tuple[Type, ...]] = {"gguf": ("f16", "f32", "q8_0"), "onnx": ("f32", "int8"), "card": ("text",)}
"""The types of each format; the first is taken where none is asked for."""


def chosen(to: str, kind: str) -> tuple[Format, Type]:
    """Return a format and its type, `default` being the format's own; raise `ConfigError` for one that is none."""
    if to not in TYPES:
        close = difflib.get_close_matches(to, TYPES, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"formats: {', '.join(TYPES)}"
        raise ConfigError(f"no format `{to}`", hint=hint)
    made, types = to, TYPES[to]
    if kind == "default":
        return made, types[0]
    if kind not in types:
        raise ConfigError(f"no type `{kind}` in the format {made}", hint=f"{made} has {', '.join(types)}")
    return made, kind
