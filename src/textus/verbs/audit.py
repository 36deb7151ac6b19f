"""Check a log of decisions."""

from __future__ import annotations

from pathlib import Path

from textus.errors import InputError
from textus.safety.audit import Checked, verify


def audit(directory: str | Path, *, key_file: str | Path = "", known: str = "") -> Checked:
    """Read a log whole, and say every line that was changed, removed, added, moved or cut off.

    `key_file` holds the key that it was written with; `known` is the hash of a record that must be in it.
    """
    return verify(directory, key=key_of(key_file), known=known)


def key_of(path: str | Path) -> bytes:
    """Read a key from a file, without the white space around it; no file, no key."""
    if not str(path):
        return b""
    try:
        key = Path(path).read_bytes().strip()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="check the path of the key") from None
    if len(key) < 16:
        raise InputError(f"{path}: a key of {len(key)} bytes", hint="take at least 16, as `openssl rand -hex 32` makes")
    return key
