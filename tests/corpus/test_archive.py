"""Archives: members are read as files are, and no bomb, damage or nesting goes through."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textus.corpus import compression
from textus.corpus.config import CorpusConfig
from textus.corpus.inputs import list_parts
from textus.corpus.log import ReadLog
from textus.corpus.read import read, read_part
from textus.errors import InputError

DEFAULT, SKIP = CorpusConfig(), CorpusConfig(unreadable="skip")
ANYWHERE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
PACK = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lambda data: lzma.compress(data, preset=0),
    ".zst": zstandard.ZstdCompressor().compress,
}


def parquet(texts):
    out = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), out)
    return out.getvalue()


MEMBERS = {
    "a/one.txt": b"one\n",
    "a/two.jsonl": b'{"text": "two"}\n{"text": "three"}\n',
    "four.md.gz": gzip.compress(b"four\n"),
    "five.parquet": parquet(["five"]),
    "six.html": b"<p>six</p>",
    "unknown.xyz": b"seven",
}
TEXTS = ["one\n", "two", "three", "four\n", "five", "six", "seven"]
LARGE = {f"{n}.txt": random.Random(n).randbytes(20_000).hex().encode() for n in range(60)}
LEFT_OUT = {".hidden": b"x", "b/.git/config": b"x", "photo.png": b"x", "empty.txt": b"", "noise.xyz": b"\0\1\2"}


def packed(kind, members):
    out = io.BytesIO()
    if kind == ".zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a/", b"")
            for name, data in members.items():
                archive.writestr(name, data)
        return out.getvalue()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return PACK[kind.removeprefix(".tar")](out.getvalue())


def put(tmp_path, kind, members):
    path = tmp_path / f"my{kind}"
    path.write_bytes(packed(kind, members))
    return path


@pytest.mark.parametrize("kind", [".zip", *(f".tar{ending}" for ending in PACK)])
def test_members_are_read_as_files_are(tmp_path, kind):
    path, log = put(tmp_path, kind, MEMBERS | LEFT_OUT), ReadLog()
    found = list(read([path], DEFAULT, log=log))
    assert [document.text for document in found] == TEXTS
    assert found[0].source == f"my{kind}/a/one.txt"
    assert log.skipped == {"hidden": 2, "binary (.png)": 1, "empty": 1, "binary (.xyz)": 1}
    assert log.files[".txt"] == log.files[".parquet"] == log.files[".md.gz"] == 1


def test_a_tgz_is_a_packed_tar(tmp_path):
    (tmp_path / "a.tgz").write_bytes(packed(".tar.gz", MEMBERS))
    assert [document.text for document in read([tmp_path], DEFAULT)] == TEXTS


@ANYWHERE
@given(
    st.lists(st.text("ab\n", max_size=30), min_size=1, max_size=20),
    st.integers(1, 3000),
    st.sampled_from([".zip", ".tar"]),
)
def test_ranges_of_members_give_the_whole(tmp_path, texts, target, kind):
    path = put(tmp_path, kind, {f"{n}{'x' * (n % 3) * 60}.txt": text.encode() for n, text in enumerate(texts)})
    parts = list_parts([path], DEFAULT, ReadLog(), target)
    found = [document for part in parts for document in read_part(part, DEFAULT, ReadLog())]
    assert [document.text for document in found] == [text for text in texts if text]
    (whole,) = list_parts([path], DEFAULT, ReadLog())
    assert found == list(read_part(whole, DEFAULT, ReadLog()))


def test_a_member_that_cannot_be_read_is_refused_alone(tmp_path):
    path = put(tmp_path, ".zip", {"a.txt": b"a", "b.jsonl": b"{", "c.parquet": b"x" * 99, "d.zip": b"", "e.txt": b"e"})
    log = ReadLog(stop=False)
    assert [document.text for document in read([path], SKIP, log=log)] == ["a", "e"]
    assert log.unreadable == {"records": 1, "files": 2}
    assert "my.zip/b.jsonl:1: not valid JSON" in log.named[0]
    assert "my.zip/d.zip: an archive in an archive" in log.named[2]
    with pytest.raises(InputError, match=r"my\.zip/b\.jsonl:1"):
        list(read([path], DEFAULT))


@pytest.mark.parametrize("kind", [".zip", *(f".tar{ending}" for ending in PACK)])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_archive_is_named(tmp_path, kind, share):
    path = put(tmp_path, kind, LARGE)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"my\..*(damaged or incomplete)") as caught:
        list(read([path], DEFAULT))
    assert caught.value.hint
    log = ReadLog(stop=False)
    if kind != ".zip":  # whose directory is at its end
        assert all(document.text.encode() in LARGE.values() for document in read([path], SKIP, log=log))
        assert log.unreadable["files"] >= 1


def test_a_tar_that_lost_its_last_members_is_named(tmp_path):
    path = put(tmp_path, ".tar", {"a.txt": b"a", "b.txt": b"b"})
    path.write_bytes(path.read_bytes()[:1024])
    with pytest.raises(InputError, match="ends before its end mark"):
        list(read([path], DEFAULT))


@pytest.mark.parametrize("inner", ["a.txt", "a.txt.gz", "photo.png"])
@pytest.mark.parametrize("kind", [".zip", ".tar.gz"])
def test_a_bomb_is_refused_with_its_member(tmp_path, monkeypatch, inner, kind):
    if (inner, kind) == ("photo.png", ".zip"):
        return  # which nobody unpacks
    monkeypatch.setattr(compression, "_ALWAYS_ALLOWED", 1_000_000)
    monkeypatch.setattr(compression, "_MOST_RATIO", 50)
    data = b" " * 10_000_000
    path = put(tmp_path, kind, {inner: gzip.compress(data) if inner.endswith(".gz") else data})
    with pytest.raises(InputError, match="unpacks to more than 50 times") as caught:
        list(read([path], DEFAULT))
    assert str(path) in caught.value.message
    assert inner in caught.value.message or kind == ".tar.gz"


def test_a_packed_file_may_not_be_a_bomb_either(tmp_path, monkeypatch):
    monkeypatch.setattr(compression, "_ALWAYS_ALLOWED", 1_000_000)
    (tmp_path / "a.txt.xz").write_bytes(lzma.compress(b" " * 10_000_000))
    with pytest.raises(InputError, match=r"a\.txt\.xz: unpacks to more than"):
        list(read([tmp_path], DEFAULT))


def test_an_encrypted_member_is_named(tmp_path):
    data = bytearray(packed(".zip", {"a.txt": b"secret"}))
    at = data.rindex(b"PK\1\2")
    data[at + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.zip/a\.txt: encrypted"):
        list(read([tmp_path], DEFAULT))


def test_links_and_hostile_names_do_nothing(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for name in ("/abs.txt", "../up.txt"):
            info = tarfile.TarInfo(name)
            info.size = 1
            archive.addfile(info, io.BytesIO(b"x"))
    (tmp_path / "a.tar").write_bytes(out.getvalue())
    log = ReadLog()
    assert [document.source for document in read([tmp_path], DEFAULT, log=log)] == ["a.tar/abs.txt", "a.tar/../up.txt"]
    assert log.skipped == {"link or special file in an archive": 1}


def test_a_member_longer_than_allowed_is_cut_or_refused(tmp_path):
    path = put(tmp_path, ".tar", {"long.txt": b"word " * 1000, "page.html": b"<p>" + b"word " * 1000})
    log = ReadLog(stop=False)
    found = list(read([path], CorpusConfig(maximum_document_mb=0.001, unreadable="skip"), log=log))
    assert "".join(document.text for document in found) == "word " * 1000
    assert "my.tar/page.html: longer than 0.001 MB" in log.named[0]
