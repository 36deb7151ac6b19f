"""Measures that are made once: kept under the fingerprint of what they are of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from textus import storage
from textus.errors import TextusError


def kept_or_made(path: Path, key: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what `path` keeps under `key`; make and keep it where it keeps something else, or nothing."""
    try:
        values = storage.read_json(path)
        if values["key"] == key:
            found: dict[str, Any] = values["found"]
            return found
    except (TextusError, KeyError, TypeError):
        pass
    made = make()
    storage.write_json(path, {"key": key, "found": made})
    return made
