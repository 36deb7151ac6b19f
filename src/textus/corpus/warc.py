r"""Web archives: WARC files with pages as they were served, and WET files with their text.

The framing is read here, and not by FastWARC (2.0), which takes a record that is cut off for a whole one.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, cast

from textus.corpus.compression import InputFile, readable
from textus.corpus.config import CorpusConfig
from textus.corpus.decode import decoded
from textus.corpus.document import Document
from textus.corpus.html import page
from textus.corpus.log import ReadLog
from textus.errors import InputError

_BUFFER = 1 << 20
_MOST_HEADERS = 1 << 16
_KINDS = ("response", "conversion", "resource")
_HTML = ("text/html", "application/xhtml+xml")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[^\r\n]{0,256}\r?\n")
_HINT = "mend or delete that record, or set corpus.unreadable=skip to leave such records out"


def warc(file: InputFile, config: CorpusConfig, log: ReadLog) -> Iterator[Document]:
    """Read the main text of each page, or the text that a WET file holds of it, with its address in `meta`.

    What is neither HTML nor plain text, and answers other than success, are left out and counted. A damaged record is
    refused, and the next one is looked for.
    """
    with readable(file.path), file.open() as raw:
        stream = cast(BinaryIO, io.BufferedReader(_Advancing(file, raw), _BUFFER))
        number, line = 0, _first_line(stream)
        while line:
            number += 1
            where = f"{file.path}: record {number}"
            try:
                headers, body = _record(stream, line, where, config)
            except InputError as error:
                log.refuse(error)
                line = _find_record(stream)
                continue
            try:
                document = _document(body, headers, where, file, config, log) if body else None
            except InputError as error:
                log.refuse(error)
            else:
                if document:
                    yield document
            line = _first_line(stream)


def _first_line(stream: BinaryIO) -> bytes:
    """Return the first line of the next record, empty at the end."""
    while (line := stream.readline(_MOST_HEADERS)) in (b"\r\n", b"\n"):
        pass
    return line


def _find_record(stream: BinaryIO) -> bytes:
    """Go on to the next line that begins a record."""
    while (line := stream.readline(_MOST_HEADERS)) and not line.startswith(b"WARC/"):
        pass
    return line


def _record(stream: BinaryIO, line: bytes, where: str, config: CorpusConfig) -> tuple[dict[str, str], bytes]:
    """Read the headers of a record that begins with `line`, and its content if it is wanted."""
    if not line.startswith(b"WARC/"):
        raise InputError(f"{where}: does not begin as a WARC record does", hint=_HINT)
    headers = _headers(stream, where)
    return headers, _body(stream, headers, where, config)


def _headers(stream: BinaryIO, where: str) -> dict[str, str]:
    """Read header lines up to the blank one; names in lower case."""
    found: dict[str, str] = {}
    name, size = "", 0
    while (line := stream.readline(_MOST_HEADERS)) not in (b"\r\n", b"\n"):
        size += len(line)
        if not line or size > _MOST_HEADERS:
            raise InputError(f"{where}: its header does not end", hint=_HINT)
        text = line.decode("utf-8", "replace")
        if text[0] in " \t" and name:  # goes on from the line before
            found[name] += " " + text.strip()
        else:
            name, _, value = text.partition(":")
            name = name.strip().lower()
            found[name] = value.strip()
    return found


def _body(stream: BinaryIO, headers: Mapping[str, str], where: str, config: CorpusConfig) -> bytes:
    """Read a record's content, or pass over that of one which is not wanted."""
    length = headers.get("content-length", "")
    if not length.isdecimal():
        raise InputError(f"{where}: does not say how long it is", hint=_HINT)
    left, wanted = int(length), headers.get("warc-type", "") in _KINDS
    too_long = left > config.maximum_bytes + _MOST_HEADERS
    content: list[bytes] = []
    while left:
        block = stream.read(min(left, _BUFFER))
        if not block:
            raise InputError(f"{where}: damaged or incomplete: the file ends in it", hint=_HINT)
        left -= len(block)
        if wanted and not too_long:
            content.append(block)
    if wanted and too_long:
        raise _too_long(where, config)
    return b"".join(content)


def _document(
    body: bytes, headers: Mapping[str, str], where: str, file: InputFile, config: CorpusConfig, log: ReadLog
) -> Document | None:
    kind = headers.get("content-type", "")
    if kind.startswith("application/http"):
        stream = io.BytesIO(body)
        status = stream.readline(_MOST_HEADERS).split()[1:2]
        if status != [b"200"]:
            log.skip("web answer without a page", where)
            return None
        http = _headers(stream, where)
        kind = http.get("content-type", "")
        body = _unpacked(stream.read(), http, where, config, log)
    essence = kind.partition(";")[0].strip().lower()
    meta = {"url": headers.get("warc-target-uri", "").strip("<>"), "date": headers.get("warc-date", "")}
    meta = {name: value for name, value in meta.items() if value}
    if not body.strip():
        return None
    if essence in _HTML:
        text, more = page(body, where, config, log)
        return Document(text, file.name, meta | more)
    if essence == "text/plain" or headers.get("warc-type") == "conversion":
        return Document("".join(decoded([body], config.encoding, where, log)), file.name, meta)
    log.skip(f"web answer that is no text ({essence or 'of unknown kind'})", where)
    return None


def _unpacked(body: bytes, http: Mapping[str, str], where: str, config: CorpusConfig, log: ReadLog) -> bytes:
    """Undo what the server did for the way; many crawlers have done so and left the headers as they were."""
    if "chunked" in http.get("transfer-encoding", "").lower() and _CHUNK.match(body):
        body = _joined(body)
    encoding = http.get("content-encoding", "").strip().lower()
    if encoding not in ("gzip", "x-gzip", "deflate"):
        if encoding not in ("", "identity") and b"<" not in body[:1024]:
            raise InputError(f"{where}: packed as {encoding}, which cannot be unpacked", hint=_HINT)
        return body
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        content = unpack.decompress(body, config.maximum_bytes + 1)
    except zlib.error:
        content = b""
    if len(content) > config.maximum_bytes:
        raise _too_long(where, config)
    if unpack.eof:
        return content
    if body.lstrip().startswith(b"<"):
        return body
    raise InputError(f"{where}: damaged or incomplete: it is not {encoding}, as it says", hint=_HINT)


def _joined(body: bytes) -> bytes:
    """Put together what was sent in chunks."""
    parts, at = [], 0
    while (size := _CHUNK.match(body, at)) and int(size[1], 16):
        parts.append(body[size.end() : size.end() + int(size[1], 16)])
        at = size.end() + len(parts[-1])
        at += 2 if body[at : at + 2] == b"\r\n" else 1
    return b"".join(parts)


def _too_long(where: str, config: CorpusConfig) -> InputError:
    return InputError(
        f"{where}: longer than {config.maximum_document_mb:g} MB",
        hint="raise corpus.maximum_document_mb, or set corpus.unreadable=skip to leave such records out",
    )


class _Advancing(io.RawIOBase):
    """The unpacked content of a file as a stream that tells how much has been used."""

    def __init__(self, file: InputFile, raw: Any) -> None:
        self._file, self._raw, self._stream = file, raw, file.unpacked(raw)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        before = self._raw.tell()
        data = self._stream.read(len(buffer))
        self._file.advance(self._raw.tell() - before)
        buffer[: len(data)] = data
        return len(data)
