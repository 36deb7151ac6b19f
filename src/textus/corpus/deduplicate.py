"""Tell whether a text was there before, in memory that does not depend on how long texts are."""

from __future__ import annotations

import hashlib

_DIGEST = 16
_EMPTY = bytes(_DIGEST)


def content_digest(text: str) -> bytes:
    r"""Hash a text to 16 bytes, apart from how its words are spaced.

    >>> content_digest("to be,\n  or not") == content_digest("to be, or not ")
    True
    """
    words = " ".join(text.split())
    return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()


class ExactDuplicates:
    r"""Remember texts by their digests, in an open table: 21 to 43 bytes a document (a `set` takes about 100).

    Two different texts are taken for one with probability n² / 2¹²⁹, never in practice.

    >>> duplicates = ExactDuplicates()
    >>> [duplicates.seen(text) for text in ("a b", "c", "a  b\n")]
    [False, False, True]
    """

    def __init__(self) -> None:
        self._slots = 1024
        self._table = bytearray(self._slots * _DIGEST)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def seen(self, text: str) -> bool:
        """Tell whether `text` was given before, and remember it."""
        return self.seen_digest(content_digest(text))

    def seen_digest(self, digest: bytes) -> bool:
        """Tell whether a text of this digest was given before, and remember it."""
        at = self._find(digest)
        if self._table[at : at + _DIGEST] == digest:
            return True
        self._table[at : at + _DIGEST] = digest
        self._count += 1
        if 4 * self._count > 3 * self._slots:
            self._grow()
        return False

    def __contains__(self, digest: bytes) -> bool:
        at = self._find(digest)
        return self._table[at : at + _DIGEST] == digest

    def _find(self, digest: bytes) -> int:
        """Return where `digest` is, or the free place where it would go (linear probing)."""
        slot = int.from_bytes(digest[:8], "little") % self._slots
        while (found := self._table[slot * _DIGEST : (slot + 1) * _DIGEST]) != _EMPTY and found != digest:
            slot = (slot + 1) % self._slots
        return slot * _DIGEST

    def _grow(self) -> None:
        old = self._table
        self._slots *= 2
        self._table = bytearray(self._slots * _DIGEST)
        for start in range(0, len(old), _DIGEST):
            digest = bytes(old[start : start + _DIGEST])
            if digest != _EMPTY:
                at = self._find(digest)
                self._table[at : at + _DIGEST] = digest
