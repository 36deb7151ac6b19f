import bz2
import lzma
import random

import pytest
import zstandard

from textus.errors import CorpusError
from textus.evaluation.baselines import compressors

WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "that",
    "was",
    "for",
    "on",
    "as",
    "with",
    "by",
    "at",
    "from",
    "this",
    "had",
]


def prose(seed: int, words: int) -> bytes:
    return " ".join(random.Random(seed).choices(WORDS, k=words)).encode()


def test_sizes_alone_are_those_of_the_standard_formats():
    text = prose(0, 20_000)
    rows = {row.name: row.alone for row in compressors(text)}
    assert rows["xz"] * len(text) / 8 == pytest.approx(len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME)), abs=8)
    assert rows["bzip2"] * len(text) == pytest.approx(8 * len(bz2.compress(text, 9)))
    level_19 = len(zstandard.ZstdCompressor(level=19).compress(text))
    assert rows["zstd"] * len(text) / 8 == pytest.approx(level_19, rel=0.02)


def test_what_a_text_adds_is_the_difference_of_sizes():
    context, text = prose(1, 30_000), prose(2, 5000)
    rows = {row.name: row for row in compressors(text, context)}
    parameters = zstandard.ZstdCompressionParameters.from_level(19, window_log=27, enable_ldm=True)
    sizes = {
        "xz": lambda data: len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
        "bzip2": lambda data: len(bz2.compress(data, 9)),
        "zstd": lambda data: len(zstandard.ZstdCompressor(compression_params=parameters).compress(data)),
    }
    for name, size in sizes.items():
        added = size(context + text) - size(context)
        assert rows[name].after_training * len(text) / 8 == pytest.approx(added, rel=0.03)
        assert rows[name].context_bytes == len(context)


def test_text_that_was_seen_before_costs_little():
    text = prose(3, 3000)
    rows = {row.name: row for row in compressors(text, prose(4, 3000) + text)}
    assert rows["xz"].after_training < 0.05 * rows["xz"].alone
    assert rows["zstd"].after_training < 0.05 * rows["zstd"].alone


def test_noise_cannot_be_compressed():
    assert all(8 <= row.alone < 8.2 for row in compressors(random.Random(0).randbytes(50_000)))


def test_only_the_end_of_a_long_context_is_used():
    text = prose(5, 500)
    seen, cut = (compressors(text, text + b"#" * 5000, maximum_context=size) for size in (10**6, 5000))
    assert seen[0].after_training < cut[0].after_training
    assert cut == compressors(text, b"#" * 5000)


def test_no_context_adds_what_the_text_costs():
    assert all(row.after_training == row.alone and row.context_bytes == 0 for row in compressors(prose(6, 100)))
    assert compressors(b"a", b"context", maximum_context=0)[0].context_bytes == 0


def test_an_empty_text_is_refused():
    with pytest.raises(CorpusError, match="no text"):
        compressors(b"", b"context")
