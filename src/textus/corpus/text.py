"""Plain text: where one document ends, and where a long one may be cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from textus.corpus.decode import Encoded
from textus.corpus.log import ReadLog
from textus.errors import InputError

SEPARATOR = "<|endoftext|>"
"""A line that is exactly this stands between two documents of one text file."""
_MARK = SEPARATOR.encode()
_END_OF_LINE = re.compile(rb"[ \t]{0,16}\r?(?:\n|\Z)")
_LONGEST_SEPARATOR = len(_MARK) + 18
_BORDERS = ("\n\n", "\n", " ")
_BLOCK = 1 << 20


def documents(source: Encoded, maximum_bytes: int, log: ReadLog) -> Iterator[tuple[int, int, str]]:
    r"""Cut a stream at its separator lines, and wherever a document passes `maximum_bytes`.

    Yields where in the file each document begins, which piece of it this is, and the text. Holds one document and one
    block at a time; the result does not depend on how the stream comes in blocks. A document that is not in the
    encoding that was stated is refused.

    >>> list(documents(Encoded([b"one\n<|endo", b"ftext|>\ntwo\n"], "auto", "a.txt", ReadLog()), 100, ReadLog()))
    [(0, 0, 'one\n'), (18, 0, 'two\n')]
    """
    held: list[bytes] = []
    size, long = 0, None
    for begun, data, ends in _segments(source):
        held.append(data)
        size += len(data)
        if long is None and not ends and size <= maximum_bytes:
            continue
        joined, size, held = b"".join(held), 0, []
        try:
            if long is None and ends:
                for number, piece in enumerate(pieces(source.decode(joined, begun), maximum_bytes, log)):
                    yield begun, number, piece
                continue
            long = long or _Long(source, begun, maximum_bytes, log)
            yield from long.take(joined, ends)
        except InputError as error:
            log.refuse(error)
            if long:
                long.refused = True
        long = None if ends else long


class _Long:
    """A document too long to be held whole: decoded and cut as it comes."""

    def __init__(self, source: Encoded, begun: int, maximum_bytes: int, log: ReadLog) -> None:
        self.refused = False
        self._begun, self._maximum, self._log = begun, maximum_bytes, log
        self._decode = source.decoder(begun)
        self._text, self._number = "", 0

    def take(self, data: bytes, ends: bool) -> Iterator[tuple[int, int, str]]:
        """Add bytes, and yield what is now long enough to be cut off."""
        if self.refused:
            return
        self._text += self._decode(data, ends)
        while len(self._text) > self._maximum:
            at = _cut(self._text, self._maximum)
            self._log.cut += 1
            yield self._next(self._text[:at])
            self._text = self._text[at:]
        if ends:
            for piece in pieces(self._text, self._maximum, self._log):
                yield self._next(piece)

    def _next(self, piece: str) -> tuple[int, int, str]:
        self._number += 1
        return self._begun, self._number - 1, piece


def next_document(raw: BinaryIO, at: int, limit: int) -> int:
    """Return where the first document begins that begins at `at` or later; `limit` where none does before that."""
    if at == 0 or at >= limit:
        return min(at, limit)
    # A separator that ends at `at` is seen whole, with the character before it.
    position = max(0, at - _LONGEST_SEPARATOR - 1)
    raw.seek(position)
    data = b""
    while position < limit and (block := raw.read(_BLOCK)):
        data += block
        for start, end in _separators(data):
            is_first_line = start > 0 or position == 0
            if is_first_line and data[end - 1 : end] == b"\n" and position + end >= at:
                return min(position + end, limit)
        rest = max(0, len(data) - _LONGEST_SEPARATOR - 1)
        data, position = data[rest:], position + rest
    return limit


def next_line(raw: BinaryIO, at: int, limit: int) -> int:
    """Return where the first line begins that begins at `at` or later; `limit` where none does before that."""
    if at == 0 or at >= limit:
        return min(at, limit)
    position = at - 1
    raw.seek(position)
    while position < limit and (block := raw.read(_BLOCK)):
        if (found := block.find(b"\n")) >= 0:
            return min(position + found + 1, limit)
        position += len(block)
    return limit


def pieces(text: str, maximum_bytes: int, log: ReadLog) -> Iterator[str]:
    """Cut a text into pieces of at most `maximum_bytes` that join to it; nothing where there is nothing."""
    while len(text) > prefix(text, maximum_bytes):
        at = _cut(text, maximum_bytes)
        log.cut += 1
        yield text[:at]
        text = text[at:]
    if text:
        yield text


def prefix(text: str, maximum_bytes: int) -> int:
    """Return how many characters from the start fit into `maximum_bytes` of UTF-8, at least one."""
    if len(text) * 4 <= maximum_bytes:
        return len(text)
    head = text[:maximum_bytes]
    if head.isascii():
        return len(head)
    return max(1, len(head.encode("utf-8", "surrogatepass")[:maximum_bytes].decode("utf-8", "ignore")))


def border(text: str, at: int, low: int, high: int) -> int:
    r"""Return the end of a paragraph nearest to `at` within `low` and `high`, else of a line, a word, else `at`.

    >>> border("one two\nthree four", 10, 0, 18)
    8
    """
    for mark in _BORDERS:
        found = [text.rfind(mark, low, at), text.find(mark, at, high)]
        if ends := [start + len(mark) for start in found if start >= 0]:
            return min(ends, key=lambda end: abs(end - at))
    return at


def _cut(text: str, maximum_bytes: int) -> int:
    most = prefix(text, maximum_bytes)
    return border(text, most, most // 2, most)


def _segments(source: Encoded) -> Iterator[tuple[int, bytes, bool]]:
    """Yield (where its document begins, bytes, whether the document ends with them), separators left out."""
    blocks = iter(source)
    pending = next(blocks, b"")
    position = begun = source.start  # known once the first block has come
    at_line_start, more = True, True
    while more:
        block = next(blocks, None)
        more = block is not None
        # The last line may be half a separator: it waits until it is whole or too long to be one.
        whole = pending.rfind(b"\n") + 1
        if not more or len(pending) - whole > _LONGEST_SEPARATOR:
            whole = len(pending)
        done = 0
        for start, end in _separators(pending, whole):
            if start > 0 or at_line_start:
                yield begun, pending[done:start], True
                done, begun = end, position + end
        if whole > done or not more:
            yield begun, pending[done:whole], not more
        at_line_start = pending[whole - 1 : whole] == b"\n" if whole else at_line_start
        pending, position = pending[whole:] + (block or b""), position + whole


def _separators(data: bytes, stop: int = -1) -> Iterator[tuple[int, int]]:
    """Yield the ends of each line that is a separator; `data` begins and `stop` ends a line, as far as is known."""
    stop = len(data) if stop < 0 else stop
    start = data.find(_MARK, 0, stop)
    while start >= 0:
        end = start + len(_MARK)
        if (start == 0 or data[start - 1] == 10) and (line_end := _END_OF_LINE.match(data, end, stop)):
            end = line_end.end()
            yield start, end
        start = data.find(_MARK, end, stop)
