"""Open a file as a stream of bytes, unpacked, and say in one sentence what is wrong with it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from textus.errors import InputError

COMPRESSIONS = (".gz", ".bz2", ".xz", ".lzma", ".zst", ".zstd")
"""Endings of files that are unpacked while they are read."""
_PACKED_TARS = {".tgz": ".gz", ".tbz": ".bz2", ".tbz2": ".bz2", ".txz": ".xz", ".tzst": ".zst"}
_ALWAYS_ALLOWED, _MOST_RATIO = 256_000_000, 250
_LARGEST_HELD = 512_000_000


class Allowance:
    """How much a file may yet unpack to: a bomb is told by its growing more than any text does."""

    def __init__(self, size: int) -> None:
        self._left = _ALWAYS_ALLOWED + _MOST_RATIO * size

    def take(self, amount: int, path: str | Path) -> None:
        """Count unpacked bytes; raise `InputError` at too many."""
        self._left -= amount
        if self._left < 0:
            raise InputError(
                f"{path}: unpacks to more than {_MOST_RATIO} times its size on disk, as a decompression bomb does",
                hint="unpack it yourself if you know where it comes from",
            )


class InputFile:
    """A file of the user's, a part of one or a member of an archive, and its format."""

    def __init__(
        self,
        path: str | Path,
        name: str,
        advance: Callable[[float], None] = lambda _: None,
        opener: Callable[[], BinaryIO] | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        self.path = path
        """What errors name: the whole path, or that of the archive with the member's name after it."""
        self.name = name
        """What `Document.source` says: its path within what was given."""
        self.advance = advance
        """Told how many more of the file's bytes on disk have been used."""
        self.weight = 0
        """How many bytes on disk reading it takes."""
        self.start, self.stop = 0, sys.maxsize
        """Which of the file's bytes are to be read, where it is not packed."""
        self.is_member = allowance is not None
        """Whether it lies in an archive: then it can be opened once only."""
        self.opener = opener or cast(Callable[[], BinaryIO], _Opener(Path(path)))
        self._allowance = allowance
        suffixes = _suffixes(os.path.basename(path))  # noqa: PTH119 - a hundred thousand members feel the difference
        if suffixes and suffixes[-1] in _PACKED_TARS:
            suffixes[-1:] = [".tar", _PACKED_TARS[suffixes[-1]]]
        self.compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
        """The ending of the packed file, empty where it is not packed."""
        self.suffix = suffixes[-1] if suffixes else ""
        """The ending that tells the format."""

    @property
    def allowance(self) -> Allowance:
        """Return what it may yet unpack to, together with all that lies in the same archive."""
        self._allowance = self._allowance or Allowance(self.weight)
        return self._allowance

    def open(self) -> BinaryIO:
        """Open the file as it is on disk."""
        return self.opener()

    def unpacked(self, raw: BinaryIO) -> BinaryIO:
        """Return the content of what `open` gave as a stream, unpacked."""
        if not self.compression:
            return raw
        return cast(BinaryIO, Counted(_unpack(raw, self.compression), self.allowance, self.path))

    def blocks(self, size: int) -> Iterator[bytes]:
        """Yield the unpacked content in blocks of `size` bytes; raise `InputError` where it is damaged."""
        with readable(self.path), self.open() as raw:
            position = self.start
            if position:
                raw.seek(position)
            stream = self.unpacked(raw)
            # Python's files refuse to read sys.maxsize bytes, hence the two limits.
            while position < self.stop and (block := stream.read(min(size, self.stop - position))):
                before, position = position, raw.tell()
                self.advance(position - before)
                yield block

    def lines(self, longest: int = sys.maxsize, hint: str = "") -> Iterator[bytes]:
        """Yield the lines of the unpacked content; raise `InputError` where more than `longest` bytes have no end."""
        held = b""
        for block in self.blocks(1 << 20):
            *whole, held = (held + block).split(b"\n")
            yield from whole
            if len(held) > longest:
                raise InputError(f"{self.path}: a line is longer than {longest // 2**20} MB", hint=hint)
        if held:
            yield held

    def whole(self, most: int, hint: str) -> bytes:
        """Return all of the unpacked content; raise `InputError` where there is more than `most` bytes of it."""
        content = bytearray()
        for block in self.blocks(1 << 20):
            content += block
            if len(content) > most:
                raise InputError(f"{self.path}: longer than {most / 1e6:g} MB", hint=hint)
        return bytes(content)

    @contextmanager
    def seekable(self) -> Iterator[BinaryIO]:
        """Open the file so that one can read here and there in it; a packed or archived one is held in memory."""
        if not self.is_member and not self.compression:
            with readable(self.path), self.open() as raw:
                yield raw
        else:
            yield io.BytesIO(self.whole(_LARGEST_HELD, "unpack it first: it must be held whole, as it is packed"))


class _Opener:
    """Open a path for reading bytes, later."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> Any:
        return self._path.open("rb")


def _suffixes(name: str) -> list[str]:
    """Return all endings of a name, in lower case.

    >>> _suffixes("a.jsonl.GZ"), _suffixes(".hidden"), _suffixes("ends.")
    (['.jsonl', '.gz'], [], [])
    """
    return [] if name.endswith(".") else [f".{ending}" for ending in name.lstrip(".").lower().split(".")[1:]]


class Counted(io.RawIOBase):
    """A stream whose bytes are taken from an allowance."""

    def __init__(self, stream: Any, allowance: Allowance, path: str | Path) -> None:
        self._stream, self._allowance, self._path = stream, allowance, path

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        data: bytes = self._stream.read(size)
        self._allowance.take(len(data), self._path)
        return data

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def tell(self) -> int:
        """Return how many bytes have been read."""
        return int(self._stream.tell())


@contextmanager
def readable(path: str | Path) -> Iterator[None]:
    """Turn what the machine and the libraries say of a bad file into an `InputError` that names it."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file", hint="check the path") from None
    except PermissionError:
        raise InputError(f"{path}: no permission to read it", hint="change its permissions, or leave it out") from None
    except _DAMAGED as error:
        words = getattr(error, "strerror", None) or (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{path}: damaged or incomplete: {words.rstrip('.')}",
            hint="fetch or unpack it again, or set corpus.unreadable=skip to keep what can be read",
        ) from None


_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException, zipfile.BadZipFile, tarfile.TarError)


def _unpack(raw: BinaryIO, compression: str) -> BinaryIO:
    match compression:
        case ".gz":
            return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
        case ".bz2":
            return cast(BinaryIO, bz2.BZ2File(raw))
        case ".xz" | ".lzma":
            return cast(BinaryIO, lzma.LZMAFile(raw))
    # Arrow's stream and not `zstandard`'s: the latter takes a truncated file for a whole one.
    return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd"))
