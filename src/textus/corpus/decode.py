"""From bytes to characters, in a stream: byte order mark, UTF-8, else a guess that is reported.

The guess needs no second pass over the file: all encodings tried agree on ASCII, so that a file's first byte beyond
ASCII, with what stands around it, is early enough to decide. Once a file has shown itself to be UTF-8, later damage
becomes U+FFFD and is counted. What is decided does not depend on the blocks in which the bytes come.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
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
_FOREIGN = re.compile(rb"[\x80-\xff]")
_HEAD = 8192
# Bytes looked at: before the first one beyond ASCII, after it for a guess, and after it to tell damaged UTF-8.
_BEFORE, _SAMPLE, _WINDOW = 1 << 11, 1 << 16, 1 << 20
_STATEFUL = ("iso2022", "hz", "utf-7")
_UTF8, _UTF8_MARKED = "utf-8", "utf-8-sig"


class Encoded:
    """The bytes of a text file in blocks, and what it takes to decode them.

    Iterating gives the blocks, in an encoding that agrees with ASCII: UTF-16 and its like are carried over to UTF-8 on
    the way. What has been given can then be decoded: whole lines with `decode`, bytes cut anywhere with `decoder`.

    A piece from the middle of a file is told the encoding by `whole`, which is asked only where the piece has a byte
    beyond ASCII.
    """

    def __init__(
        self,
        blocks: Iterable[bytes],
        encoding: str,
        path: str | Path,
        log: ReadLog,
        whole: Callable[[], str] | None = None,
        start: int = 0,
    ) -> None:
        self.start = start
        """Where in the file the first byte that is given stands."""
        self.codec = _UTF8
        """The encoding of what has been given so far."""
        self._blocks, self._path, self._log, self._whole = blocks, path, log, whole
        self._stated = encoding
        self._strict = encoding != "auto"
        self._name = "ascii"  # what the log will say
        self._lost = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from filter(None, self._opened())
        self._log.encodings[self._name] += 1
        if self._lost > 0:
            self._log.unreadable["bytes"] += self._lost
            self._log.name(f"{self._path}: {self._lost} places are not {self._name} and became U+FFFD")

    def decode(self, data: bytes, at: int = 0) -> str:
        """Decode whole lines; `at` says in a refusal where in the file they begin."""
        try:
            return str(data, self.codec)
        except UnicodeError as error:
            if self._strict:
                raise _not_as_stated(self._path, self._stated, error, at) from None
        text = str(data, self.codec, "replace")
        self._count_lost(text, data)
        return text

    def decoder(self, at: int = 0) -> Callable[[bytes, bool], str]:
        """Return a function that decodes bytes cut anywhere, given in a row, the last ones with True."""
        codec = self.codec
        strict = codecs.getincrementaldecoder(codec)("strict")

        def decode(data: bytes, last: bool) -> str:
            nonlocal at, codec, strict
            if codec != self.codec:  # all before was ASCII, and nothing of it waits
                codec = self.codec
                strict = codecs.getincrementaldecoder(codec)("strict")
            state = strict.getstate()
            try:
                text = strict.decode(data, last)
            except UnicodeError as error:
                if self._strict:
                    raise _not_as_stated(self._path, self._stated, error, at - len(state[0])) from None
                loose = codecs.getincrementaldecoder(codec)("replace")
                loose.setstate(state)
                text = loose.decode(data, last)
                strict.setstate(loose.getstate())
                self._count_lost(text, state[0] + data)
            at += len(data)
            return text

        return decode

    def text(self) -> Iterator[str]:
        """Yield the text, block by block."""
        decode = self.decoder(self.start)
        for block in self:
            yield decode(block, False)
        yield decode(b"", True)

    def _opened(self) -> Iterator[bytes]:
        """Find out how the file begins, and give its blocks as they are to be decoded."""
        stream = iter(self._blocks)
        head = next(stream, b"")
        at_start = self.start == 0
        encoding = codecs.lookup(self._stated).name if self._strict else _by_mark(head) if at_start else "auto"
        if at_start and head.startswith(codecs.BOM_UTF8) and encoding in (_UTF8, _UTF8_MARKED):
            self._name, self.start = _UTF8_MARKED, len(codecs.BOM_UTF8)
            return chain([head[self.start :]], stream)
        stream = chain([head], stream)
        if encoding == "auto":
            if at_start and looks_binary(head):
                raise _binary(self._path)
            return self._guessed(stream)
        self._name = self._stated if self._strict else encoding
        if not is_like_ascii(encoding):
            return _carried_over(stream, encoding, self._path)
        if at_start and b"\0" in head[:_HEAD]:
            raise _binary(self._path)
        self.codec = encoding
        return stream

    def _guessed(self, stream: Iterator[bytes]) -> Iterator[bytes]:
        """Give blocks, and decide at the first byte beyond ASCII, before its block is given."""
        before, position, held = b"", self.start, b""
        for block in stream:
            if not block.isascii():
                held = block
                break
            before = (before + block)[-_BEFORE:]
            position += len(block)
            yield block
        if not held:
            return
        if self._whole is not None:
            self.codec = self._whole()
        else:
            found = _FOREIGN.search(held)
            assert found
            first, waiting = found.start(), [held]
            while len(held) - first < _WINDOW and (block := next(stream, b"")):
                held += block
                waiting.append(block)
            before = (before + held[:first])[-_BEFORE:]
            self.codec = _decide(before, held[first : first + _WINDOW], self._path, position + first)
            stream = chain(waiting[1:], stream)
            held = waiting[0]
        self._name = self.codec
        yield held
        yield from stream

    def _count_lost(self, text: str, data: bytes) -> None:
        self._lost += text.count("\ufffd") - (data.count(b"\xef\xbf\xbd") if self.codec == _UTF8 else 0)


def decoded(blocks: Iterable[bytes], encoding: str, path: str | Path, log: ReadLog) -> Iterator[str]:
    """Yield the text of a file; raise `InputError` where it is binary or not in the `encoding` that was stated."""
    return Encoded(blocks, encoding, path, log).text()


def encoding_of(blocks: Iterable[bytes], path: str | Path) -> str:
    """Name the encoding of a file that has no byte order mark but that of UTF-8, reading no further than is needed."""
    whole = Encoded(blocks, "auto", path, ReadLog())
    for block in whole:
        if not block.isascii():
            break
    return whole.codec


def is_like_ascii(encoding: str) -> bool:
    """Tell whether a line can be found and decoded in this encoding without what comes before it.

    >>> is_like_ascii("shift_jis"), is_like_ascii("utf-16"), is_like_ascii("iso2022_jp")
    (True, False, False)
    """
    plain = "<|endoftext|>\r\n"
    name = codecs.lookup(encoding).name
    return not name.startswith(_STATEFUL) and plain.encode(encoding) == plain.encode("ascii")


def can_be_divided(head: bytes, encoding: str) -> bool:
    """Tell whether a file that begins like this can be read from any of its lines on."""
    if encoding == "auto":
        return _by_mark(head) in ("auto", _UTF8_MARKED) and not looks_binary(head)
    return (is_like_ascii(encoding) or codecs.lookup(encoding).name == _UTF8_MARKED) and b"\0" not in head


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


def _carried_over(blocks: Iterable[bytes], encoding: str, path: str | Path) -> Iterator[bytes]:
    """Decode what does not agree with ASCII, and give it as UTF-8."""
    decode = codecs.getincrementaldecoder(encoding)("strict").decode
    before = 0
    for block in chain(blocks, [b""]):
        try:
            text = decode(block, not block)
        except UnicodeError as error:
            raise _not_as_stated(path, encoding, error, before) from None
        if not before and "\0" in text[:_HEAD]:
            raise _binary(path)
        before += len(block)
        yield text.encode(_UTF8, "replace")


def _decide(before: bytes, after: bytes, path: str | Path, position: int) -> str:
    """Name the encoding of a file whose first byte beyond ASCII is at `position` and begins `after`."""
    try:
        codecs.utf_8_decode(after, "strict", len(after) < _WINDOW)
        return _UTF8
    except UnicodeDecodeError:
        if _damaged_utf8(after):
            return _UTF8
    # charset-normalizer is lost in the middle of a line.
    encoding = guess(before[before.find(b"\n") + 1 if len(before) == _BEFORE else 0 :] + after[:_SAMPLE])
    if not encoding:
        raise InputError(
            f"{path}: neither UTF-8 nor any other encoding fits byte {position}",
            hint="set corpus.encoding to the file's encoding, or leave the file out",
        )
    return encoding


def _damaged_utf8(data: bytes) -> bool:
    """Tell whether most of what is beyond ASCII is valid UTF-8, so that the rest is damage and no other encoding."""
    text = data.decode(_UTF8, "replace")
    bad = text.count("\ufffd")
    good = len(text) - bad - sum(map(text.count, map(chr, range(128))))
    return good > 4 * bad


def _not_as_stated(path: str | Path, encoding: str, error: UnicodeError, before: int) -> InputError:
    at = before + getattr(error, "start", 0)
    return InputError(
        f"{path}: not {encoding}: {getattr(error, 'reason', error)} near byte {at}",
        hint="set corpus.encoding=auto, or to the encoding that the file is in",
    )


def _binary(path: str | Path) -> InputError:
    return InputError(
        f"{path}: binary, not text",
        hint="convert it to text first; a packed file is unpacked when it ends in .gz .zst .xz .bz2",
    )
