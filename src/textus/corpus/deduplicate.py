"""Tell equal texts from others by 16 bytes of each."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np

from textus.corpus.batch import SPACE, TextBatch

_DIGEST = 16
_FOREIGN = 128


def content_digest(text: str) -> bytes:
    r"""Hash a text to 16 bytes, apart from how its words are spaced.

    Two different texts among n are taken for one with probability n² / 2¹²⁹, never in practice.

    >>> content_digest("to be,\n  or not") == content_digest("to be, or not ")
    True
    """
    return _digest(" ".join(text.split()).encode("utf-8", "surrogatepass"))


def content_digests(batch: TextBatch) -> list[bytes]:
    r"""Hash every text of a batch as `content_digest` does, some ten times faster.

    >>> texts = ["to be,\n  or not", "", "\u3000ça va "]
    >>> content_digests(TextBatch(texts)) == [content_digest(text) for text in texts]
    True
    """
    is_space = (batch.classes & SPACE) != 0
    stays = ~is_space
    # Of white space, the first after a word, as one space; with the line break put there, it is behind every text.
    stays[1:] |= ~is_space[:-1]
    codes = np.where(is_space, np.uint32(ord(" ")), batch.codes)[stays]
    offsets = np.zeros(len(batch) + 1, np.int64)
    np.cumsum([np.count_nonzero(stays[start:end]) for start, end in pairwise(batch.starts.tolist())], out=offsets[1:])
    starts, ends = offsets[:-1].tolist(), np.maximum(offsets[1:] - 1, offsets[:-1]).tolist()
    if not len(codes) or int(codes.max()) < _FOREIGN:
        whole = codes.astype(np.uint8).tobytes()
        return [_digest(whole[start:end]) for start, end in zip(starts, ends, strict=True)]
    whole = codes.tobytes()
    parts = (whole[4 * start : 4 * end] for start, end in zip(starts, ends, strict=True))
    return [_digest(part.decode("utf-32-le", "surrogatepass").encode("utf-8", "surrogatepass")) for part in parts]


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()
