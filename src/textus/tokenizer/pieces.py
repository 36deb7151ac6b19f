"""Cut long texts where it cannot change their tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator

PIECE = 1 << 16
"""Characters a piece has at least; most have few more."""

# The pre-tokenization never puts a letter and a following non-letter into one word, and what it makes of the text up to
# a letter does not depend on what follows a non-letter. Only letters that every Unicode version calls letters count.
_LETTER = (
    r"A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff\u0430-\u044f\u3041-\u3093\u30a1-\u30f6\u4e00-\u9fa5\uac00-\ud7a3"
)
_BORDER = re.compile(rf"(?<=[{_LETTER}])(?=[ \n.,;:!?\u3001\u3002\uff0c])")


def pieces(text: str, size: int = PIECE) -> Iterator[str]:
    r"""Cut `text` into pieces of at least `size` characters whose tokens, joined, are the tokens of the whole.

    A text in which no such border is found stays whole.

    >>> list(pieces("one two, three\nfour", size=5))
    ['one two', ', three', '\nfour']
    """
    start = 0
    while len(text) - start > size:
        border = _BORDER.search(text, start + size)
        if border is None or border.end() == len(text):
            break
        yield text[start : border.end()]
        start = border.end()
    yield text[start:]
