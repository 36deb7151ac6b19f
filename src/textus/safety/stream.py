"""Judge a text as it is written: nothing leaves before it has been read with what comes after it.

Places at which the text is read are multiples of the policy's `step`, counted in characters from its beginning, so a
text is read in the same windows however it is cut into pieces: its verdict and what is let go are the same.

```
       before          step          after
  |--- read along ---|== decided ==|--- read along, held back ---|
  let go already       let go now    decided later
```
"""

from __future__ import annotations

from typing import Protocol

from textus.safety.policy import ACTIONS, Action, Policy, Side, severest
from textus.safety.span import Reading, Span
from textus.safety.verdict import Verdict

LONGEST = 24_576
"""Something that is found and goes on for more characters than this, as a private key may, is taken to have ended."""
_MARGIN = 64
"""What is read before something that goes on: more than any rule looks back."""
_NEAR = 64
"""What ends so close to the end of its window may go on: a line of a key is told only when enough of it has come."""
_KEPT = 4096
"""How much that no window will read is kept: dropping it at each step would make a long text's time its square."""
_WHOLE = ("classifier", "guard")
"""Whose spans are of a whole window."""


class Judge(Protocol):
    """What this file needs of a guard."""

    @property
    def policy(self) -> Policy:
        """Return what it goes by."""
        ...

    def action(self, category: str, side: Side) -> Action:
        """Return what is done with what was found."""
        ...

    def read(self, window: str, side: Side) -> Reading:
        """Read one window."""
        ...


class Stream:
    """One text on its way: `push` pieces, `close` it, and ask for the `verdict`.

    Where something is to be blocked, `blocked` turns true and nothing more comes out: what was let go before that had
    been read, with `after` characters behind it, and held nothing of the window in which it was found.
    """

    def __init__(self, guard: Judge, side: Side, to_the_end: bool = False) -> None:
        self._guard, self._side, self._to_the_end = guard, side, to_the_end
        self._windows = guard.policy.windows(side)
        self._text, self._base, self._at = "", 0, 0  # what is kept, where it begins, and where the undecided begins
        self._covered = 0  # to where a placeholder that has left stands for the text
        self._open: Span | None = None  # what was found and may go on beyond its window
        self._spans: dict[tuple[int, str, str, str], Span] = {}
        self._scores: dict[str, float] = {}
        self._errors: dict[str, None] = {}
        self.blocked = False
        """Whether something was found that lets nothing pass."""

    @property
    def held(self) -> int:
        """Count the characters that were pushed and are yet undecided."""
        return self._base + len(self._text) - self._at

    @property
    def hidden(self) -> list[tuple[int, int]]:
        """Return from where to where in the text something was found in whose place a placeholder stands."""
        found = self._spans.values()
        return [(span.start, span.end) for span in found if self._guard.action(span.category, self._side) == "redact"]

    def push(self, piece: str) -> str:
        """Take the next piece of the text, and return what is certain to pass."""
        self._text += piece
        return self._advance()

    def coming(self, piece: str, closes: bool = False) -> str:
        """Return the window that will be read next if `piece` is pushed, and closed behind it; empty for none."""
        there = self._base + len(self._text) + len(piece)
        left, whole = there - self._at, self._windows.step + self._windows.after
        if self._stopped or not left or (left < whole and not closes):
            return ""
        first, last = self._bounds(self._at + self._windows.step if left >= whole else there, there)
        return (self._text + piece)[first - self._base : last - self._base]

    def close(self) -> str:
        """Return what was held back and may pass, when no more text will come."""
        released = self._advance()
        if self.held and not self._stopped:
            released += self._decide(self._base + len(self._text))
        self._text = ""
        return "" if self.blocked else released

    def verdict(self, text: str = "") -> Verdict:
        """Return what was found so far; `text` is what was let go of it."""
        spans = tuple(sorted(self._spans.values()))
        found: dict[str, float] = {}
        for span in spans:
            found[span.category] = max(found.get(span.category, 0.0), span.score)
        actions = {category: self._guard.action(category, self._side) for category in found}
        return Verdict(
            action=severest(actions.values()),
            side=self._side,
            text=text,
            categories=tuple(sorted(found, key=lambda name: (-ACTIONS.index(actions[name]), -found[name], name))),
            scores=self._scores | {name: max(score, self._scores.get(name, 0.0)) for name, score in found.items()},
            spans=spans,
            errors=tuple(self._errors),
            characters=self._base + len(self._text) if self._text else self._at,
        )

    @property
    def _stopped(self) -> bool:
        return self.blocked and not self._to_the_end

    def _advance(self) -> str:
        """Decide all steps behind which enough text has come."""
        released = []
        while not self._stopped and self.held >= self._windows.step + self._windows.after:
            released.append(self._decide(self._at + self._windows.step))
        if self._stopped:
            self._text, self._base = "", self._at
        return "".join(released)

    def _decide(self, end: int) -> str:
        """Read the window of the text from where it is undecided to `end`, and return what of that may pass."""
        start = self._at
        first, last = self._bounds(end, self._base + len(self._text))
        reading = self._guard.read(self._text[first - self._base : last - self._base], self._side)
        for category, score in reading.scores.items():
            self._scores[category] = max(score, self._scores.get(category, 0.0))
        self._errors |= dict.fromkeys(reading.errors)
        spans = [_moved(span, first, (start, end)) for span in reading.spans]
        self._note(spans, start, end, first, last)
        self._open = self._going_on(spans, end, last)
        released = "" if self.blocked else self._redacted(spans, start, end)
        self._at = end
        self._forget()
        return released

    def _bounds(self, end: int, there: int) -> tuple[int, int]:
        """Return from where to where the text is read to decide what stands before `end`."""
        first = max(0, self._at - self._windows.before)
        if self._open is not None:
            first = max(0, min(first, self._open.start - _MARGIN))
        return first, min(end + self._windows.after, there)

    def _note(self, spans: list[Span], start: int, end: int, first: int, last: int) -> None:
        """Keep what was found here; block at what is seen whole even if its turn is yet to come."""
        for span in spans:
            blocks = self._guard.action(span.category, self._side) == "block"
            is_here = span.start < end and span.end > start
            is_whole = span.end < last and (span.start > first or first == 0)
            if is_here or (blocks and is_whole and span.end > start):
                self._keep(span)
                self.blocked |= blocks

    def _keep(self, span: Span) -> None:
        key = (span.start, span.category, span.layer, span.rule)
        if key not in self._spans or self._spans[key].end < span.end:
            self._spans[key] = span

    def _going_on(self, spans: list[Span], end: int, last: int) -> Span | None:
        """Return what began before `end` and may go on beyond its window: it is read again with what follows."""
        reaching = [span for span in spans if span.start < end and last - span.end < _NEAR and span.layer not in _WHOLE]
        first = min(reaching, default=None)
        return first if first is not None and last - first.start <= LONGEST else None

    def _redacted(self, spans: list[Span], start: int, end: int) -> str:
        """Return the text from `start` to `end` with placeholders; what reaches beyond is swallowed when it comes."""
        redacted = [span for span in spans if self._guard.action(span.category, self._side) == "redact"]
        pieces, at = [], max(start, self._covered)
        for span in sorted(redacted, key=lambda span: (span.start, -span.end)):
            if span.start >= end or span.end <= at:
                continue
            if span.start >= at or at > self._covered:
                pieces += [self._text[at - self._base : max(at, span.start) - self._base], _placeholder(span.category)]
            at = self._covered = span.end
        if at < end:
            pieces.append(self._text[at - self._base : end - self._base])
        return "".join(pieces)

    def _forget(self) -> None:
        """Drop what no later window reads."""
        first = self._at - self._windows.before
        if self._open is not None:
            first = min(first, self._open.start - _MARGIN)
        if first - self._base >= _KEPT:
            self._text, self._base = self._text[first - self._base :], first


def _placeholder(category: str) -> str:
    return f"<{category.upper().replace('/', '_').replace('-', '_')}>"


def _moved(span: Span, by: int, step: tuple[int, int]) -> Span:
    """Count a span from the beginning of the text; one of a whole window is of the step that is decided by it."""
    start, end = step if span.layer in _WHOLE else (span.start + by, span.end + by)
    return Span(start, end, span.category, span.layer, span.score, span.rule)
