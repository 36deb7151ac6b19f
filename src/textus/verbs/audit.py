"""Check a log of decisions."""

from __future__ import annotations

from pathlib import Path

from textus.decoding.watermark import read_key
from textus.safety.audit_check import Checked, verify


def audit(directory: str | Path, *, key_file: str | Path = "", known: str = "") -> Checked:
    """Read a log whole, and say every line that was changed, removed, added, moved or cut off.

    `key_file` holds the key that it was written with; `known` is the hash of a record that must be in it.
    """
    return verify(directory, key=key_of(key_file), known=known)


def key_of(path: str | Path) -> bytes:
    """Read a key from a file, without the white space around it; no file, no key."""
    return read_key(path) if str(path) else b""
