"""One text under way: what was said, how much of it is in the cache, and where."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from textus.decoding.engine.blocks import Key, key


@dataclasses.dataclass(eq=False)
class Request:
    """Hold the tokens of a text and its blocks; the scheduler moves it on."""

    number: int
    """When it came: the lower, the earlier."""
    tokens: list[int]
    """END, the prompt, and what was written."""
    max_tokens: int
    """How many are written at most."""
    salt: Key = b""
    """Blocks are shared between texts of the same salt only."""
    begin: int = 0
    """The first token in sight; those before it are forgotten, since the context was full."""
    read: int = 0
    """How many tokens in sight are in the cache."""
    unknown: int = 0
    """How many tokens were drawn whose names have not come from the device yet: 0 or 1."""
    table: list[int] = dataclasses.field(default_factory=list)
    """The blocks of the tokens in sight."""
    is_run: bool = True
    """Whether these blocks follow one another, so that nothing need be gathered."""
    place: int = -1
    """Which part of the cache it would rather have; -1 while it waits."""
    named: int = 0
    """How many of its blocks have a name by now."""
    prompt: int = dataclasses.field(init=False)
    given: int = dataclasses.field(init=False)
    """How many tokens in sight were there before the first is written behind them."""
    _keys: list[Key] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.prompt = self.given = len(self.tokens)

    @property
    def length(self) -> int:
        """How many tokens are in sight."""
        return len(self.tokens) + self.unknown - self.begin

    @property
    def written(self) -> int:
        """How many tokens were drawn."""
        return len(self.tokens) + self.unknown - self.prompt

    @property
    def unread(self) -> int:
        """How many tokens are to be read before the next can be drawn; none where none is wanted."""
        return self.length - self.read if self.written < self.max_tokens else 0

    def keys(self, count: int, size: int) -> Sequence[Key]:
        """Return the names of its first `count` blocks of `size` tokens."""
        while len(self._keys) < count:
            first = self.begin + len(self._keys) * size
            self._keys.append(key(self._keys[-1] if self._keys else self.salt, self.tokens[first : first + size]))
        return self._keys[:count]

    def start_again(self, begin: int) -> None:
        """Forget what was read; what stands before `begin` is out of sight."""
        if begin != self.begin:
            self.begin, self._keys = begin, []
            self.given = self.length
        self.read, self.named, self.table, self.is_run = 0, 0, [], True


class Segment(NamedTuple):
    """Tokens of one text that are read in one pass: the ones at `start` to `stop` of those in sight."""

    request: Request
    start: int
    stop: int
    wants: bool
    """Whether the next token is to be drawn behind them."""

    @property
    def size(self) -> int:
        """How many tokens are read."""
        return self.stop - self.start
