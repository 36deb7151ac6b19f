"""Examples of what was done to texts: a few of each kind, before and after, as short as a table needs them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from textus.corpus.privacy.config import KINDS, PrivacyConfig
from textus.corpus.privacy.find import hidden

_CUT_WORD = re.compile(r"^\.\.\. \S+|\S+ \.\.\.$")
MOST = 20
"""Examples kept of each kind."""
_EXCERPT = 160


class Samples:
    """Keep the first examples of each kind.

    >>> samples = Samples()
    >>> samples.take("dropped: empty", "a.txt", " ", "")
    >>> samples.take("cut", "b.txt", "one two", "one")
    >>> [(row["what"], row["before"], row["after"]) for row in samples.as_list()]
    [('dropped: empty', '', ''), ('cut', 'one two', 'one')]
    """

    def __init__(self, rows: Iterable[dict[str, Any]] = ()) -> None:
        self._rows: list[dict[str, Any]] = []
        self._counts: Counter[str] = Counter()
        self.add(rows)

    def take(self, what: str, source: str, before: str, after: str = "", note: str = "") -> None:
        """Keep an example unless there are enough of its kind; shown from where the two texts differ."""
        if self._counts[what] < MOST:
            at = first_difference(before, after) if after else 0
            shown = {"before": excerpt(before, at), "after": excerpt(after, at), "note": note}
            self.add([{"what": what, "source": source, **shown}])

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take over what others have kept."""
        for row in rows:
            if self._counts[row["what"]] < MOST:
                self._counts[row["what"]] += 1
                self._rows.append(row)

    def hide(self, config: PrivacyConfig) -> None:
        """Show no personal data that is not kept: what was found, and words that an excerpt has cut in two."""
        if all(config.of(kind) == "keep" for kind in KINDS):
            return
        for row in self._rows:
            for name in ("before", "after", "note"):
                row[name] = hidden(_CUT_WORD.sub("...", row[name]), config)

    def as_list(self) -> list[dict[str, Any]]:
        """Return the examples for JSON."""
        return self._rows


def excerpt(text: str, at: int) -> str:
    """Return a line of text from about `at`."""
    start = max(0, at - _EXCERPT // 4)
    words = " ".join(text[start : start + _EXCERPT].encode("utf-8", "replace").decode().split())
    return ("... " if start else "") + words + (" ..." if start + _EXCERPT < len(text) else "")


def first_difference(before: str, after: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    low, high = 0, min(len(before), len(after))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if before[:middle] == after[:middle] else (low, middle - 1)
    return low
