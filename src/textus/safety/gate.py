"""Where the guard stands between a person and a model: prompts pass through it, and pieces of text on their way out."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from textus.decoding.piece import WITHHELD, Piece
from textus.safety.audit import Audit
from textus.safety.guard import Guard
from textus.safety.policy import Side
from textus.safety.verdict import Verdict

_NO_TOKEN: dict[str, Any] = {"token": WITHHELD, "logprob": 0.0, "alternatives": ()}
BLOCKED: Literal["content_filter"] = "content_filter"
"""The finish reason of a text that was not let out, or not begun."""


@dataclass(frozen=True)
class Gate:
    """Judge what goes into a model and what comes out of it, and log what was decided."""

    guard: Guard
    audit: Audit | None = None
    name: str = ""
    """Names all that decides: texts that were written behind another gate are other texts."""

    def admit(self, text: str, side: Side = "input", *, log: bool = True, **facts: Any) -> Verdict:
        """Judge a whole text; its `text` is what may pass. `facts` are kept beside the decision."""
        verdict = self.guard.check(text, side)
        if log:
            self.log(verdict, text, **facts)
        return verdict

    def outlet(self, lag: int = 1) -> Outlet:
        """Begin to let one text out; its tokens may be up to `lag` characters ahead of its text."""
        return Outlet(self, max(1, lag))

    def let_out(self, pieces: Iterator[Piece], n: int, lag: int = 1) -> Iterator[Piece]:
        """Yield what may pass of `n` texts; when the last of them is blocked, no more is written."""
        outlets = [self.outlet(lag) for _ in range(n)]
        try:
            for piece in pieces:
                yield from outlets[piece.row].take(piece)
                if all(outlet.is_over for outlet in outlets):
                    return
        finally:
            if (close := getattr(pieces, "close", None)) is not None:
                close()

    def log(self, verdict: Verdict, text: str, **facts: Any) -> None:
        """Note a decision, where there is a log."""
        if self.audit is not None:
            self.audit.record(verdict, text, policy=self.guard.policy.fingerprint, **facts)


class Outlet:
    """One text on its way out: a token is told of when its text has left, and never if that was redacted.

    What becomes of a token is not known from its piece alone: a stop string or half a character may hold its text back,
    so `lag` characters more count as its own.
    """

    def __init__(self, gate: Gate, lag: int) -> None:
        self._gate, self._lag = gate, lag
        self._stream = gate.guard.stream("output")
        self._waiting: deque[tuple[int, int, Piece]] = deque()  # from and to which character of the text
        self._written: list[str] = []
        self._count = 0
        self.is_over = False
        """Whether the text has ended, or was blocked."""

    def take(self, piece: Piece) -> list[Piece]:
        """Take the next piece of the text, and return those that may pass by now."""
        if self.is_over:
            return []
        begin, self._count = self._count, self._count + len(piece.text)
        self._written.append(piece.text)
        self._waiting.append((begin, self._count, piece))
        text = self._stream.push(piece.text)
        self.is_over = bool(piece.finish_reason)
        if self.is_over:
            text += self._stream.close()
        if self._stream.blocked:
            self.is_over = True
            self._log()
            return [Piece("", WITHHELD, 0.0, piece.row, BLOCKED, words(self._stream.verdict(), "what was written"))]
        passing = self._passing(self._count if self.is_over else self._count - self._stream.held - self._lag)
        if self.is_over:
            self._log()
            last = passing.pop() if passing and passing[-1] is piece else dataclasses.replace(piece, **_NO_TOKEN)
            return [*_silent(passing), dataclasses.replace(last, text=text)]
        if not passing:
            return [Piece(text, WITHHELD, 0.0, piece.row)] if text else []
        return [*_silent(passing[:-1]), dataclasses.replace(passing[-1], text=text)]

    def _passing(self, until: int) -> list[Piece]:
        """Return the pieces whose text has been let go, without those that tell of what was redacted."""
        if not self._waiting or self._waiting[0][1] > until:
            return []
        hidden, found = self._stream.hidden, []
        while self._waiting and self._waiting[0][1] <= until:
            begin, end, piece = self._waiting.popleft()
            if not any(begin < last and end + self._lag > first for first, last in hidden):
                found.append(piece)
        return found

    def _log(self) -> None:
        text = "".join(self._written)
        self._gate.log(self._stream.verdict(), text)


def refused(verdict: Verdict, n: int) -> Iterator[Piece]:
    """Yield the ends of `n` texts that are not begun."""
    return (Piece("", WITHHELD, 0.0, row, BLOCKED, words(verdict, "the prompt")) for row in range(n))


def words(verdict: Verdict, what: str) -> str:
    """Say why something did not pass."""
    return f"the guard does not let {what} pass: {', '.join(verdict.categories)}"


def _silent(pieces: Iterable[Piece]) -> list[Piece]:
    """Take the text from pieces: what may pass of it comes with the last."""
    return [dataclasses.replace(piece, text="") for piece in pieces]
