"""Turn tokens into text as they come, never showing half a character."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable


class StreamDecoder:
    r"""Take tokens one at a time and give back the text that is certain so far.

    A token may end inside a character of UTF-8; its bytes wait for the next one. Joined, what `push` and `flush` return
    equals `Tokenizer.decode` of all tokens, also where the bytes are no UTF-8 at all (each such run becomes U+FFFD).

    >>> stream = StreamDecoder({0: b"caf\xc3", 1: b"\xa9s"}.__getitem__)
    >>> stream.push(0), stream.push(1), stream.flush()
    ('caf', 'és', '')
    """

    def __init__(self, token_bytes: Callable[[int], bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """Add a token; return the characters that it completes, which may be none."""
        return self._decoder.decode(self._token_bytes(token))

    def extend(self, tokens: Iterable[int]) -> str:
        """Add several tokens at once."""
        return self._decoder.decode(b"".join(map(self._token_bytes, tokens)))

    def flush(self) -> str:
        """End the stream; return what was still waiting."""
        return self._decoder.decode(b"", True)
