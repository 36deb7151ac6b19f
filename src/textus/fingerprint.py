"""Content hashes of data, settings, models and of this package's own code.

A fingerprint is a SHA-256 in hexadecimal, so that `sha256sum` can check any of them. Equal fingerprints mean equal
content: they key the cache of stages and say which scores may be compared.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

SHORT = 12
"""How many characters of a fingerprint a person is shown."""


def of_bytes(data: bytes | memoryview) -> str:
    """Hash bytes.

    >>> of_bytes(b"")[:12]
    'e3b0c44298fc'
    """
    return hashlib.sha256(data).hexdigest()


def of_text(text: str) -> str:
    """Hash a text as UTF-8; lone surrogates, which UTF-8 cannot hold, are kept apart by their number."""
    return of_bytes(text.encode("utf-8", "surrogatepass"))


def of_file(path: Path) -> str:
    """Hash a file's content without holding it in memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_value(value: Any) -> str:
    """Hash a JSON-like value or a settings dataclass; the order of keys does not count.

    >>> of_value({"a": 1, "b": 2}) == of_value({"b": 2, "a": 1})
    True
    """
    return of_text(json.dumps(value, sort_keys=True, ensure_ascii=False, default=_plain))


def of_parts(parts: Iterable[str]) -> str:
    """Hash a sequence of fingerprints or names; their order counts.

    >>> of_parts(["a", "bc"]) == of_parts(["ab", "c"])
    False
    """
    return of_value(list(parts))


@cache
def of_code() -> str:
    """Hash the source of this package, so that a result names the code that made it."""
    root = Path(__file__).parent
    return of_parts(f"{path.relative_to(root).as_posix()} {of_file(path)}" for path in sorted(root.rglob("*.py")))


def short(fingerprint: str) -> str:
    """Shorten a fingerprint for people."""
    return fingerprint[:SHORT]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return value.as_posix()
    raise TypeError(f"{type(value).__name__} has no fingerprint")
