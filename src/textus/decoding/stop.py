"""Stop strings in text that arrives in pieces: nothing of a stop string ever leaves."""

from __future__ import annotations

from collections.abc import Sequence

from textus.errors import ConfigError


class StopFilter:
    r"""Pass text on, except what may still become a stop string; end at the stop string that is complete first.

    Of several that are complete at the same character, the longest is cut off.

    >>> stop = StopFilter(["\n\n"])
    >>> stop.push("one\n"), stop.push("two\n"), stop.push("\nthree"), stop.stopped
    ('one', '\ntwo', '', True)
    """

    def __init__(self, stops: Sequence[str]) -> None:
        if isinstance(stops, str) or not all(isinstance(stop, str) and stop for stop in stops):
            raise ConfigError(f"`stop` must be a list of strings, none empty; got {stops!r}", hint='as in stop=["\\n"]')
        self._stops = tuple(stops)
        self._held = ""
        self.stopped = False
        """Whether a stop string was met; nothing comes out after it."""

    def push(self, text: str) -> str:
        """Take the next piece and return what is certain not to belong to a stop string."""
        if self.stopped:
            return ""
        pending = self._held + text
        found = [(start + len(stop), start) for stop in self._stops if (start := pending.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            return pending[: min(found)[1]]
        cut = len(pending) - max((_overlap(pending, stop) for stop in self._stops), default=0)
        self._held = pending[cut:]
        return pending[:cut]

    def flush(self) -> str:
        """Return what was held back, when no more text will come."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Count the characters of the longest end of `text` that begins `stop` without completing it."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)
