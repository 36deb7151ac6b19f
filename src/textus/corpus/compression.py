"""Open a file as a stream of bytes, unpacked, and say in one sentence what is wrong with it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO, cast

import pyarrow as pa

from textus.errors import InputError

COMPRESSIONS = (".gz", ".bz2", ".xz", ".lzma", ".zst", ".zstd")
"""Endings of files that are unpacked while they are read."""


class InputFile:
    """A file of the user's or a part of one, its format, and how far it has been read."""

    def __init__(
        self,
        path: str | Path,
        name: str,
        advance: Callable[[float], None] = lambda _: None,
        place: str | Path = "",
    ) -> None:
        self.path = path
        """What errors name: the whole path, or that of the archive and the member's name in it."""
        self.name = name
        """What `Document.source` says: its path within what was given."""
        self.advance = advance
        """Told how many more of the file's bytes on disk have been used."""
        self.weight = 0
        """How many bytes on disk reading it takes."""
        self.start, self.stop = 0, sys.maxsize
        """Which of the file's bytes are to be read, where it is not packed."""
        self._place = place or path
        suffixes = [suffix.lower() for suffix in PurePath(path).suffixes]
        self.compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
        """The ending of the packed file, empty where it is not packed."""
        self.suffix = suffixes[-1] if suffixes else ""
        """The ending that tells the format."""

    def open(self) -> BinaryIO:
        """Open the file as it is on disk."""
        return Path(self._place).open("rb")

    def blocks(self, size: int) -> Iterator[bytes]:
        """Yield the unpacked content in blocks of `size` bytes; raise `InputError` where it is damaged."""
        with readable(self.path), self.open() as raw:
            position = self.start
            if position:
                raw.seek(position)
            stream = _unpack(raw, self.compression)
            # Python's files refuse to read sys.maxsize bytes, hence the two limits.
            while position < self.stop and (block := stream.read(min(size, self.stop - position))):
                before, position = position, raw.tell()
                self.advance(position - before)
                yield block


@contextmanager
def readable(path: str | Path) -> Iterator[None]:
    """Turn what the machine and the libraries say of a bad file into an `InputError` that names it."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file", hint="check the path") from None
    except PermissionError:
        raise InputError(f"{path}: no permission to read it", hint="change its permissions, or leave it out") from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException) as error:
        words = getattr(error, "strerror", None) or str(error).strip().splitlines()[0].rstrip(".")
        raise InputError(
            f"{path}: damaged or incomplete: {words}",
            hint="fetch or unpack it again, or set corpus.unreadable=skip to keep what can be read",
        ) from None


def _unpack(raw: BinaryIO, compression: str) -> BinaryIO:
    match compression:
        case ".gz":
            return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
        case ".bz2":
            return cast(BinaryIO, bz2.BZ2File(raw))
        case ".xz" | ".lzma":
            return cast(BinaryIO, lzma.LZMAFile(raw))
        case ".zst" | ".zstd":
            # Arrow's stream and not `zstandard`'s: the latter takes a truncated file for a whole one.
            return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd"))
    return raw
