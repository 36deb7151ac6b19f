"""A file that is there whole or not at all, however the library that writes it goes about it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from textus import storage, temporary


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write under; what stands there takes its place when the block ends well."""
    with storage.refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = temporary.beside(path, "partial")
        try:
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.replace(path)
            storage.flush_directory(path.parent)
        finally:
            partial.unlink(missing_ok=True)
