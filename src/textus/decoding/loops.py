"""Notice that a model says the same thing over and over."""

from __future__ import annotations

LONGEST = 128
"""No longer repetition is looked for, in tokens."""


class LoopDetector:
    """Take tokens one at a time and tell when the same run of them has come `times` times in a row.

    >>> loops = LoopDetector(3)
    >>> [loops.push(token) for token in [9, 1, 2, 1, 2, 1, 2]]
    [(), (), (), (), (), (), (1, 2)]
    """

    def __init__(self, times: int) -> None:
        self.times = times
        self._tokens: list[int] = []
        self._alike = [0] * (LONGEST + 1)
        """For each length: how many tokens in a row equal the one so many places before them."""

    def push(self, token: int) -> tuple[int, ...]:
        """Take the next token; return the run that has come too often, the shortest of them, or nothing."""
        tokens, alike = self._tokens, self._alike
        tokens.append(token)
        found = 0
        for length in range(1, min(LONGEST, len(tokens) - 1) + 1):
            alike[length] = alike[length] + 1 if tokens[-1 - length] == token else 0
            if not found and alike[length] >= length * (self.times - 1):
                found = length
        del tokens[: -LONGEST - 1]
        return tuple(tokens[-found:]) if found else ()
