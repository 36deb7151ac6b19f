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
    `zstd -19 --long=27`. What a text adds is the size of both together less the size of the training text, which xz and
    bzip2 have to compress twice for that, on two threads side by side; zstd can be asked for all that it has so far.
    11.6 MB take about 46 seconds of one core, 23 of two: xz 29 of them, zstd 14. bzip2 forgets after 900 kB, so
    training text hardly helps it.

    >>> [row.name for row in compressors(b"to be or not to be")]
    ['xz', 'bzip2', 'zstd']
    """
    if not validation:
        raise CorpusError("there is no text to compress", hint="give a validation text that is not empty")
    context = context[max(0, len(context) - maximum_context) :]
    both = context + validation
    works: dict[str, Callable[[], int]] = {
        "xz both": lambda: _xz(both),
        "xz context": lambda: _xz(context),
        "zstd after": lambda: _added_by_zstd(context, validation),
        "bzip2 both": lambda: _bzip2(both),
        "bzip2 context": lambda: _bzip2(context),
        "xz alone": lambda: _xz(validation),
        "zstd alone": lambda: _added_by_zstd(b"", validation),
        "bzip2 alone": lambda: _bzip2(validation),
    }
    with progress.task("compressors", len(works), "runs") as task, ThreadPoolExecutor(_WORKERS) as pool:

        def run(work: Callable[[], int]) -> int:
            size = work()
            task.advance()
            return size

        sizes = dict(zip(works, pool.map(run, works.values()), strict=True))
    if context:
        sizes["xz after"], sizes["bzip2 after"] = (
            sizes[f"{name} both"] - sizes[f"{name} context"] for name in ("xz", "bzip2")
        )
    bits = {name: 8 * size / len(validation) for name, size in sizes.items()}
    return [
        Compression(name, bits[f"{name} alone"], bits[f"{name} {'after' if context else 'alone'}"], len(context))
        for name in ("xz", "bzip2", "zstd")
    ]


def _added_by_zstd(context: bytes, text: bytes) -> int:
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
