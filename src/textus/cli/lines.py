"""Texts on the command line, or from stdin."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from textus.errors import InputError


def given(texts: Sequence[str]) -> list[str]:
    """Return the texts, and for `-` each line of stdin that is not blank."""
    found: list[str] = []
    for text in texts:
        found += [line for line in piped("text").splitlines() if line.strip()] if text == "-" else [text]
    if not found:
        raise InputError("stdin: holds no text", hint="pipe in a text a line")
    return found


def piped(what: str) -> str:
    """Read stdin; `what` it should hold is named in the hints."""
    if sys.stdin is None:
        raise InputError("stdin: closed", hint=f"pipe the {what} in, or give it as a word")
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise InputError(
            f"stdin: not {error.encoding}: {error.reason} at byte {error.start}",
            hint=f"convert the {what} first, for example with `iconv -f latin1 -t utf-8`",
        ) from None
