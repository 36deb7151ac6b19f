"""Tell equal texts from others by 16 bytes of each."""

from __future__ import annotations

import hashlib

_DIGEST = 16


def content_digest(text: str) -> bytes:
    r"""Hash a text to 16 bytes, apart from how its words are spaced.

    Two different texts among n are taken for one with probability n² / 2¹²⁹, never in practice.

    >>> content_digest("to be,\n  or not") == content_digest("to be, or not ")
    True
    """
    words = " ".join(text.split())
    return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()
