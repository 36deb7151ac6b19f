"""Files with one JSON object a line, read with the number of every line that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textus.corpus.objects import object_at
from textus.errors import InputError


def read(path: Path, needed: Sequence[str], example: str) -> list[dict[str, Any]]:
    """Return the objects of a file; each must hold the `needed` keys with text. Empty lines count for nothing."""
    try:
        lines = path.read_text("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 at byte {error.start}", hint="convert it with `iconv -t utf-8` first"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="check the path of the file") from None
    found = [_object(f"{path}:{number}", line, needed, example) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise InputError(f"{path}: no line in it", hint=f"write one object a line: {example}")
    return found


def _object(place: str, line: str, needed: Sequence[str], example: str) -> dict[str, Any]:
    hint = f"each line is an object: {example}"
    value = object_at(place, line, hint)
    for key in needed:
        if not isinstance(value.get(key), str):
            there = f"`{key}` is not text" if key in value else f"no `{key}`"
            raise InputError(f"{place}: {there}", hint=hint)
    return value
