"""From bytes to characters, in a stream: byte order mark, UTF-8, else a guess that is reported.

The guess needs no second pass over the file: all encodings tried agree on ASCII, so that a file's first byte beyond
ASCII is early enough to decide. Once a file has shown itself to be UTF-8, later damage becomes U+FFFD and is counted.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from textus.corpus.log import ReadLog
from textus.errors import InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PACKED = (b"\x1f\x8b", b"\xfd7zXZ", b"BZh", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")
_MAGIC = (*_PACKED, b"%PDF-", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x7fELF", b"SQLite format 3", b"\xd0\xcf\x11\xe0")
_UNLIKELY = ["utf_7", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"]
# Without õ, û, ð, þ, ý: these are what the commonest Hungarian and Turkish letters look like.
_WESTERN = frozenset("àáâãäåæçèéêëìíîïñòóôöøùúüßœÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÖØÙÚÜŒ“”„‘’–—…•€£§©®°·«»¡¿\xa0")
_HEAD = 8192
_SAMPLE = 65536


def decoded(blocks: Iterable[bytes], encoding: str, path: Path, log: ReadLog) -> Iterator[str]:
    """Yield the text of a file; raise `InputError` where it is binary or not in the `encoding` that was stated."""
    stream = iter(blocks)
    head = next(stream, b"")
    if encoding == "auto":
        encoding = _by_mark(head)
    elif head.startswith(codecs.BOM_UTF8) and codecs.lookup(encoding).name == "utf-8":
        encoding = "utf-8-sig"
    if encoding == "auto":
        if looks_binary(head):
            raise _binary(path)
        yield from _guessed(chain([head], stream), path, log)
        return
    yield from _stated(chain([head], stream), encoding, path)
    log.encodings[encoding] += 1


def looks_binary(head: bytes) -> bool:
    """Tell whether a file that begins like this holds something else than text (a NUL, as git does, or a signature)."""
    return _by_mark(head) == "auto" and (b"\0" in head[:_HEAD] or head.startswith(_MAGIC))


def guess(data: bytes) -> str:
    """Name the likeliest encoding of bytes that are not UTF-8; empty where none fits.

    >>> guess("Déjà vu, à la carte, où êtes-vous ?".encode("cp1252")), guess("Привет, как дела?".encode("cp1251"))
    ('cp1252', 'cp1251')
    """
    if _is_western(data.decode("cp1252", "replace")):
        return "cp1252"
    import charset_normalizer  # slow to load, and seldom needed

    best = charset_normalizer.from_bytes(data, cp_exclusion=_UNLIKELY).best()
    return best.encoding if best else ""


def _is_western(text: str) -> bool:
    """Tell whether text read as Windows-1252 looks right: a few accented letters among plain ones, and quotes.

    charset-normalizer takes a short French or Spanish text for Polish or for Macintosh; this comes before it.
    """
    foreign = [char for char in text if char > "\x7f"]
    letters = sum(map(str.isalpha, text))
    usual = sum(map(_WESTERN.__contains__, foreign))
    return usual >= 0.95 * len(foreign) and sum(map(str.isalpha, foreign)) <= 0.35 * letters


def _by_mark(head: bytes) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    # UTF-16 without its mark: Latin letters leave every other byte zero.
    even, odd = head[:_HEAD:2], head[1:_HEAD:2]
    if len(odd) < 8:
        return "auto"
    if odd.count(0) * 10 > len(odd) * 3 and even.count(0) * 50 < len(even):
        return "utf-16-le"
    if even.count(0) * 10 > len(even) * 3 and odd.count(0) * 50 < len(odd):
        return "utf-16-be"
    return "auto"


def _stated(blocks: Iterable[bytes], encoding: str, path: Path) -> Iterator[str]:
    decode = codecs.getincrementaldecoder(encoding)("strict").decode
    before = 0
    for block in chain(blocks, [b""]):
        try:
            text = decode(block, not block)
        except UnicodeError as error:
            at = before + getattr(error, "start", 0)
            raise InputError(
                f"{path}: not {encoding}: {getattr(error, 'reason', error)} near byte {at}",
                hint="set corpus.encoding=auto, or to the encoding that the file is in",
            ) from None
        if not before and "\0" in text[:_HEAD]:
            raise _binary(path)
        before += len(block)
        yield text


def _guessed(blocks: Iterable[bytes], path: Path, log: ReadLog) -> Iterator[str]:
    """Read as UTF-8 until that fails; then as what the first foreign bytes look like."""
    decoder: codecs.IncrementalDecoder = codecs.getincrementaldecoder("utf-8")("strict")
    encoding, only_ascii, lost = "ascii", True, 0
    for block in chain(blocks, [b""]):
        data, last = block, not block
        waiting = decoder.getstate()[0]
        try:
            text = decoder.decode(data, last)
            only_ascii = only_ascii and data.isascii()
            encoding = encoding if only_ascii or encoding != "ascii" else "utf-8"
        except UnicodeDecodeError as error:
            data = waiting + data
            encoding = "utf-8" if not only_ascii or _damaged_utf8(data) else _foreign(data, error.start, path)
            only_ascii = False
            decoder = codecs.getincrementaldecoder(encoding)("replace")
            text = decoder.decode(data, last)
        lost += text.count("\ufffd") - (data.count(b"\xef\xbf\xbd") if encoding == "utf-8" else 0)
        yield text
    log.encodings[encoding] += 1
    if lost > 0:
        log.unreadable["bytes"] += lost
        log.name(f"{path}: {lost} places are not {encoding} and became U+FFFD")


def _damaged_utf8(data: bytes) -> bool:
    """Tell whether most of what is beyond ASCII is valid UTF-8, so that the rest is damage and no other encoding."""
    text = data.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    good = len(text) - bad - sum(map(text.count, map(chr, range(128))))
    return good > 4 * bad


def _foreign(data: bytes, first: int, path: Path) -> str:
    """Guess the encoding from the neighbourhood of the first byte that is not UTF-8."""
    start = data.rfind(b"\n", 0, max(0, first - _SAMPLE // 2)) + 1
    encoding = guess(data[start : first + _SAMPLE])
    if not encoding:
        raise InputError(
            f"{path}: neither UTF-8 nor any other encoding fits byte {first}",
            hint="set corpus.encoding to the file's encoding, or leave the file out",
        )
    return encoding


def _binary(path: Path) -> InputError:
    return InputError(
        f"{path}: binary, not text",
        hint="convert it to text first (PDF: `pdftotext`); a packed file is unpacked when it ends in .gz .zst .xz .bz2",
    )
