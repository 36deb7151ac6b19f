"""Plain text: where one document ends, and where a long one may be cut."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from textus.corpus.log import ReadLog

SEPARATOR = "<|endoftext|>"
"""A line that is exactly this stands between two documents of one text file."""
_SEPARATOR_LINE = re.compile(rf"(?m)^{re.escape(SEPARATOR)}[ \t]*\r?(?:\n|\Z)")
_LONGEST_SEPARATOR = len(SEPARATOR) + 16
_BORDERS = ("\n\n", "\n", " ")


def documents(blocks: Iterable[str], maximum_bytes: int, log: ReadLog) -> Iterator[str]:
    r"""Cut a stream of text at its separator lines, and wherever a document passes `maximum_bytes`.

    Holds one document and one block at a time; the result does not depend on how the stream comes in blocks.

    >>> list(documents(["one\n<|endo", "ftext|>\ntwo\n"], 100, ReadLog()))
    ['one\n', 'two\n']
    """
    pending, at_line_start = "", True
    for block in blocks:
        pending += block
        # The last line may be half a separator: it waits until it is whole.
        last_line = pending.rfind("\n") + 1
        *whole, rest = _split(pending[:last_line], at_line_start)
        for document in whole:
            yield from pieces(document, maximum_bytes, log)
        pending, at_line_start = rest + pending[last_line:], at_line_start or bool(whole)
        while len(pending) > maximum_bytes + _LONGEST_SEPARATOR:
            at = _cut(pending, maximum_bytes)
            at_line_start = pending[at - 1] == "\n"
            log.cut += 1
            yield pending[:at]
            pending = pending[at:]
    for document in _split(pending, at_line_start):
        yield from pieces(document, maximum_bytes, log)


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


def _split(text: str, at_line_start: bool) -> list[str]:
    """Split at separator lines; `at_line_start` tells whether `text` begins where a line does."""
    if SEPARATOR not in text:
        return [text]
    start = 0 if at_line_start else text.find("\n") + 1 or len(text)
    first, *others = _SEPARATOR_LINE.split(text[start:])
    return [text[:start] + first, *others]
