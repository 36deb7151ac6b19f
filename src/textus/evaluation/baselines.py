"""What general compressors need for the same text: the floor that a language model has to beat."""

from __future__ import annotations

import bz2
import dataclasses
import lzma
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import zstandard

from textus.errors import CorpusError
from textus.progress import SILENT, Progress

MAXIMUM_CONTEXT = 32 * 2**20
"""Bytes of training text, the last ones, that a compressor sees first; xz needs about 12 bytes of memory for each."""
_MAXIMUM_DICTIONARY = 64 * 2**20
_WORKERS = 2


@dataclasses.dataclass(frozen=True)
class Compression:
    """What one compressor needs for the validation text, in bits per byte of it."""

    name: str
    alone: float
    """With nothing before it."""
    after_training: float
    """What it adds when it follows (the end of) the training text."""
    context_bytes: int
    """How much training text that was."""


def compressors(
    validation: bytes,
    context: bytes = b"",
    *,
    maximum_context: int = MAXIMUM_CONTEXT,
    progress: Progress = SILENT,
) -> list[Compression]:
    """Compress the validation text alone and after the training text with xz, bzip2 and zstd at their strongest.

    The strength is that of `xz -9e` with a dictionary as large as the data (64 MiB at most), `bzip2 -9` and
    `zstd -19 --long=27`; xz takes about two seconds of one core for each MB of training text, zstd one. bzip2 forgets
    after 900 kB, so training text hardly helps it.

    >>> [row.name for row in compressors(b"to be or not to be")]
    ['xz', 'bzip2', 'zstd']
    """
    if not validation:
        raise CorpusError("there is no text to compress", hint="give a validation text that is not empty")
    context = context[max(0, len(context) - maximum_context) :]
    with (
        progress.task("compressors", 2 * len(_ADDED), "runs") as task,
        ThreadPoolExecutor(_WORKERS) as pool,
    ):

        def bits_per_byte(added: Callable[[bytes, bytes], int], before: bytes) -> float:
            size = added(before, validation)
            task.advance()
            return 8 * size / len(validation)

        after = [pool.submit(bits_per_byte, added, context) for added in _ADDED.values()]
        alone = [pool.submit(bits_per_byte, added, b"") for added in _ADDED.values()]
        return [
            Compression(name, without.result(), given.result(), len(context))
            for name, without, given in zip(_ADDED, alone, after, strict=True)
        ]


def _added_by_xz(context: bytes, text: bytes) -> int:
    return _xz(context + text) - _xz(context) if context else _xz(text)


def _added_by_bzip2(context: bytes, text: bytes) -> int:
    return _bzip2(context + text) - _bzip2(context) if context else _bzip2(text)


def _added_by_zstd(context: bytes, text: bytes) -> int:
    """Compress once: zstd can be asked for all it has so far, which xz and bzip2 cannot."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        19, source_size=len(context) + len(text), window_log=27, enable_ldm=True
    )
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    if context:
        stream.compress(context)
        stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return len(stream.compress(text)) + len(stream.flush())


def _xz(data: bytes) -> int:
    dictionary = min(max(len(data), 4096), _MAXIMUM_DICTIONARY)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": dictionary}]
    return len(lzma.compress(data, check=lzma.CHECK_CRC32, filters=filters))


def _bzip2(data: bytes) -> int:
    return len(bz2.compress(data, 9))


_ADDED: dict[str, Callable[[bytes, bytes], int]] = {
    "xz": _added_by_xz,
    "bzip2": _added_by_bzip2,
    "zstd": _added_by_zstd,
}
