"""One file of tokens: every document's, end to end, memory-mapped, with where each begins and how long its text was.

```
magic, length and JSON of the header, zeros up to 4096 | tokens | zeros up to 8 | offsets | document_bytes
                                                         uint16/32                int64[D+1] int64[D]
```
All numbers are little-endian. A document is END, the tokens of its text, END: its first token is predicted from the END
before it, and the END behind it is learnt. The first may be another, where a tokenizer begins texts with it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from textus.errors import ArtefactError
from textus.storage import refusals

MAGIC = b"textus-tokens-1\n"
HEADER_BYTES = 4096


@dataclass(frozen=True)
class Header:
    """What a shard holds."""

    dtype: str
    """`uint16` where the vocabulary allows, else `uint32`."""
    num_tokens: int
    """Of all documents, the END before and the END after each included."""
    num_documents: int
    num_bytes: int
    """Bytes of UTF-8 of all texts."""
    vocab_size: int
    tokenizer: str
    """Fingerprint of the tokenizer."""
    data: str
    """Fingerprint of the documents: their ids, in order."""
    sha256: str
    """Hash of everything behind the header."""


class DataHash:
    """Fingerprint documents by their ids, in order, one after the other.

    >>> DataHash.of(["a", "bc"]) == DataHash.of(["ab", "c"])
    False
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, document_id: str) -> None:
        """Add the next document."""
        self._hash.update(document_id.encode() + b"\n")

    def hexdigest(self) -> str:
        """Return the fingerprint of the documents so far."""
        return self._hash.hexdigest()

    @classmethod
    def of(cls, ids: Iterable[str]) -> str:
        """Fingerprint documents whose ids are there already."""
        total = cls()
        for document_id in ids:
            total.update(document_id)
        return total.hexdigest()


class ShardWriter:
    """Write a shard document by document; what stays in memory is 16 bytes a document.

    A context manager: the file is whole when the block ends well. Meant for a directory of `storage.new_directory`.
    """

    def __init__(self, path: Path, vocab_size: int, tokenizer: str, end: int, begin: int | None = None) -> None:
        self._path = path
        self._vocab_size = vocab_size
        self._tokenizer = tokenizer
        self._dtype = token_dtype(vocab_size)
        self._begin, self._end = (
            np.array([token], self._dtype).tobytes() for token in (end if begin is None else begin, end)
        )
        self._hash = hashlib.sha256()
        self._data = DataHash()
        self._offsets = array("q", [0])
        self._document_bytes = array("q")
        with refusals(path):
            self._file = path.open("wb")
            self._file.write(bytes(HEADER_BYTES))

    @property
    def num_tokens(self) -> int:
        """Count the tokens written so far."""
        return self._offsets[-1]

    def append(self, document_id: str, tokens: np.ndarray, num_bytes: int) -> None:
        """Add a document: the tokens of its text, without END, and the size of its text."""
        assert not len(tokens) or int(tokens.max()) < self._vocab_size, "a token outside the vocabulary"
        self._write(self._begin + tokens.astype(self._dtype).tobytes() + self._end)
        self._offsets.append(self._offsets[-1] + len(tokens) + 2)
        self._document_bytes.append(num_bytes)
        self._data.update(document_id)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is None:
                self._finish()

    def _write(self, data: bytes) -> None:
        with refusals(self._path):
            self._file.write(data)
        self._hash.update(data)

    def _finish(self) -> None:
        self._write(bytes(-self._offsets[-1] * self._dtype.itemsize % 8))
        self._write(np.asarray(self._offsets, "<i8").tobytes())
        self._write(np.asarray(self._document_bytes, "<i8").tobytes())
        header = Header(
            dtype=self._dtype.name,
            num_tokens=self._offsets[-1],
            num_documents=len(self._document_bytes),
            num_bytes=sum(self._document_bytes),
            vocab_size=self._vocab_size,
            tokenizer=self._tokenizer,
            data=self._data.hexdigest(),
            sha256=self._hash.hexdigest(),
        )
        text = json.dumps(dataclasses.asdict(header)).encode()
        start = MAGIC + len(text).to_bytes(4, "little") + text
        assert len(start) <= HEADER_BYTES
        with refusals(self._path):
            self._file.seek(0)
            self._file.write(start)
            self._file.flush()


@dataclass(frozen=True, eq=False)
class TokenShard:
    """A shard opened for reading; nothing of it is in memory until it is looked at."""

    path: Path
    header: Header
    tokens: np.ndarray
    """uint16 or uint32, [num_tokens]."""
    offsets: np.ndarray
    """int64, [num_documents + 1]: document i is `tokens[offsets[i]:offsets[i + 1]]`."""
    document_bytes: np.ndarray
    """int64, [num_documents]: bytes of UTF-8 of each text."""

    @classmethod
    def open(cls, path: Path) -> TokenShard:
        """Map a shard; raise `ArtefactError` when it is missing, cut short, or not one of ours."""
        try:
            header = _read_header(path)
            size = path.stat().st_size
            if size != _file_bytes(header):
                raise _damaged(path, f"{size} bytes, and its header says {_file_bytes(header)}")
            # An ndarray over the map: indexing a memmap costs more, and a map must not be empty.
            payload = np.asarray(np.memmap(path, np.uint8, mode="r", offset=HEADER_BYTES))
        except OSError as error:
            raise ArtefactError(f"{path}: {error.strerror}", hint="make the shards again") from None
        dtype, at = np.dtype(header.dtype).newbyteorder("<"), _offsets_at(header)
        tokens = payload[: header.num_tokens * dtype.itemsize].view(dtype)
        offsets = payload[at : at + 8 * (header.num_documents + 1)].view("<i8")
        document_bytes = payload[at + 8 * (header.num_documents + 1) :].view("<i8")
        if offsets[0] != 0 or offsets[-1] != header.num_tokens:
            raise _damaged(path, "its offsets do not end where its tokens do")
        return cls(path, header, tokens, offsets, document_bytes)

    def verify(self) -> None:
        """Read the whole file and hold it against the checksum in its header."""
        with self.path.open("rb") as file:
            file.seek(HEADER_BYTES)
            if hashlib.file_digest(file, "sha256").hexdigest() != self.header.sha256:
                raise _damaged(self.path, "its checksum differs from its header's")


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """Return the smallest type that holds every token."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


def _read_header(path: Path) -> Header:
    with path.open("rb") as file:
        start = file.read(HEADER_BYTES)
    if not start.startswith(MAGIC):
        raise _damaged(path, "it does not begin as a token shard does")
    at = len(MAGIC) + 4
    length = int.from_bytes(start[len(MAGIC) : at], "little")
    try:
        header = Header(**json.loads(start[at : at + length]))
        counts = (header.num_tokens, header.num_documents, header.num_bytes, header.vocab_size)
        if header.dtype not in ("uint16", "uint32") or any(type(count) is not int or count < 0 for count in counts):
            raise ValueError("values that no shard has")
    except (ValueError, TypeError) as error:
        raise _damaged(path, f"its header is unreadable: {error}") from None
    return header


def _offsets_at(header: Header) -> int:
    """Return where in the payload the offsets begin: behind the tokens, at a multiple of 8."""
    tokens_bytes = header.num_tokens * np.dtype(header.dtype).itemsize
    return tokens_bytes + -tokens_bytes % 8


def _file_bytes(header: Header) -> int:
    return HEADER_BYTES + _offsets_at(header) + 8 * (2 * header.num_documents + 1)


def _damaged(path: Path, what: str) -> ArtefactError:
    return ArtefactError(f"{path}: not a whole token shard: {what}", hint="delete it and make the shards again")
