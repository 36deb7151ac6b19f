"""Web archives, whole and damaged."""

import gzip
import io

import pytest
from fastwarc.warc import WarcRecord, WarcRecordType
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.config import CorpusConfig
from textus.corpus.log import ReadLog
from textus.corpus.read import read
from textus.corpus.warc import _joined
from textus.errors import InputError

SKIP = CorpusConfig(unreadable="skip")


def record(number, body, kind="response", content_type="application/http; msgtype=response"):
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://x/{number}\r\n"
        f"WARC-Date: 2020-01-0{number}T00:00:00Z\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n\r\n"


def served(body, *headers, kind="text/html", status="200 OK"):
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def page(number, *headers):
    return record(number, served(f"<title>T{number}</title><p>Page {number}".encode(), *headers))


def documents(tmp_path, content, name="a.warc", config=None, log=None):
    (tmp_path / name).write_bytes(content)
    return list(read([tmp_path / name], config or CorpusConfig(), log=log))


def test_pages_give_their_text_with_its_address(tmp_path):
    info = record(9, b"software: x\r\n", "warcinfo", "application/warc-fields")
    content = info + page(1) + record(8, b"GET / HTTP/1.1\r\n\r\n", "request") + page(2)
    found = documents(tmp_path, content)
    assert [(d.text, d.source, d.meta) for d in found] == [
        (f"Page {n}", "a.warc", {"url": f"http://x/{n}", "date": f"2020-01-0{n}T00:00:00Z", "title": f"T{n}"})
        for n in (1, 2)
    ]
    packed = gzip.compress(info) + gzip.compress(page(1)) + gzip.compress(page(2))
    assert [d.text for d in documents(tmp_path, packed, "b.warc.gz")] == ["Page 1", "Page 2"]


def test_what_fastwarc_writes_is_read(tmp_path):
    out = io.BytesIO()
    for number in range(3):
        written = WarcRecord()
        written.init_headers(record_type=WarcRecordType.response)
        written.headers["WARC-Target-URI"] = f"http://x/{number}"
        written.headers["Content-Type"] = "application/http; msgtype=response"
        written.set_bytes_content(served(f"<p>Page {number}".encode()))
        written.write(out)
    assert [d.text for d in documents(tmp_path, out.getvalue())] == ["Page 0", "Page 1", "Page 2"]


def test_wet_files_give_their_text(tmp_path):
    content = record(1, "Déjà vu\n".encode(), "conversion", "text/plain")
    (found,) = documents(tmp_path, gzip.compress(content), "a.warc.wet.gz")
    assert (found.text, found.meta["url"]) == ("Déjà vu\n", "http://x/1")


def test_other_answers_are_left_out_and_counted(tmp_path):
    log = ReadLog()
    content = [
        record(1, served(b"no", status="404 Not Found")),
        record(2, served(b"\x89PNG", kind="image/png")),
        record(3, served(b"plain", kind="text/plain; charset=utf-8")),
        record(4, served(b"")),
    ]
    assert [d.text for d in documents(tmp_path, b"".join(content), log=log)] == ["plain"]
    assert log.skipped == {"web answer without a page": 1, "web answer that is no text (image/png)": 1}


@given(st.lists(st.binary(min_size=1, max_size=40)))
def test_chunks_are_joined(parts):
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    assert _joined(body) == b"".join(parts)


def test_what_the_server_packed_is_unpacked(tmp_path):
    packed = gzip.compress(b"<p>packed")
    chunked = b"%x\r\n" % len(packed) + packed + b"\r\n0\r\n\r\n"
    both = ("Content-Encoding: gzip", "Transfer-Encoding: chunked")
    content = record(1, served(chunked, *both)) + record(2, served(packed, both[0])) + page(3, *both)
    assert [d.text for d in documents(tmp_path, content)] == ["packed", "packed", "Page 3"]
    with pytest.raises(InputError, match="record 1: packed as br"):
        documents(tmp_path, record(1, served(b"\x8b\x03\x80", "Content-Encoding: br")))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (b"stray words\r\n", "record 2: does not begin as a WARC record does"),
        (page(9).replace(b"Content-Length", b"Content-Width"), "record 2: does not say how long it is"),
        (record(9, served(b"x" * 100_000)), "record 2: longer than 0.01 MB"),
        (record(9, served(b"x\0", kind="text/html")), "record 2: binary"),
        (record(9, served(b"x", "Content-Encoding: gzip")), "record 2: damaged or incomplete"),
        (b"WARC/1.0\r\n" + b"x" * 100_000, "record 2: its header does not end"),
    ],
)
def test_a_damaged_record_is_refused_alone(tmp_path, damage, words):
    config = {"maximum_document_mb": 0.01}
    content = page(1) + damage + b"\r\n" + page(3)
    with pytest.raises(InputError, match=words) as caught:
        documents(tmp_path, content, config=CorpusConfig(**config))
    assert caught.value.hint
    log = ReadLog(stop=False)
    found = documents(tmp_path, content, config=CorpusConfig(unreadable="skip", **config), log=log)
    assert [d.text for d in found] == ["Page 1", "Page 3"]
    assert log.unreadable == {"records": 1}


@pytest.mark.parametrize("cut", [5, 60, 200])
def test_a_truncated_file_is_named(tmp_path, cut):
    content = page(1) + page(2)
    log = ReadLog(stop=False)
    assert [d.text for d in documents(tmp_path, content[:-cut], config=SKIP, log=log)] == ["Page 1"]
    assert "record 2: " in log.named[0]
    with pytest.raises(InputError, match=r"a\.warc\.gz: damaged or incomplete"):
        documents(tmp_path, gzip.compress(content)[:-cut], "a.warc.gz")
