"""Packed files: read whole, several members in one file, and never a part taken for the whole."""

import bz2
import gzip
import lzma

import pytest
import zstandard

from textus.corpus.compression import InputFile
from textus.errors import InputError

PACK = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
TEXT = b"".join(b"line %d of some text\n" % number for number in range(20_000))


def read(path):
    return b"".join(InputFile(path, path.name).blocks(10_000))


@pytest.mark.parametrize("ending", PACK)
def test_packed_files_are_read_whole(tmp_path, ending):
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(PACK[ending](TEXT) + PACK[ending](b"another member"))
    assert read(path) == TEXT + b"another member"


def test_zstandard_with_a_long_window_is_read(tmp_path):
    path = tmp_path / "a.txt.zst"
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    path.write_bytes(zstandard.ZstdCompressor(compression_params=parameters).compress(TEXT))
    assert read(path) == TEXT


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9999])
def test_a_truncated_file_is_named(tmp_path, ending, share):
    path = tmp_path / f"cut.jsonl{ending}"
    packed = PACK[ending](TEXT)
    path.write_bytes(packed[: int(len(packed) * share)])
    with pytest.raises(InputError, match="damaged or incomplete") as caught:
        read(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("ending", PACK)
def test_another_content_than_the_ending_says_is_named(tmp_path, ending):
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(b"this is not packed at all, however it is called")
    with pytest.raises(InputError, match="damaged"):
        read(path)


@pytest.mark.parametrize(
    ("name", "suffix", "compression"),
    [("a.TXT", ".txt", ""), ("a.jsonl.GZ", ".jsonl", ".gz"), ("README", "", ""), ("x.v1.tar.gz", ".tar", ".gz")],
)
def test_endings(tmp_path, name, suffix, compression):
    file = InputFile(tmp_path / name, name)
    assert (file.suffix, file.compression) == (suffix, compression)


def test_progress_tells_bytes_on_disk(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(TEXT))
    told = []
    for _ in InputFile(path, "a.txt.gz", told.append).blocks(1000):
        assert 0 < sum(told) <= path.stat().st_size
    assert sum(told) == path.stat().st_size
    assert min(told) >= 0
