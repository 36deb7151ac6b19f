"""What the guard says of a text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from textus.report import Shown
from textus.safety.policy import Action, Side
from textus.safety.span import Span


@dataclass(frozen=True)
class Verdict(Shown):
    """The decision on one text, and all that it rests on."""

    action: Action
    """The most severe of what was done; `allow` where nothing was found."""
    side: Side
    text: str
    """What may go on: the text itself, with placeholders where it was redacted, or nothing where it was blocked."""
    categories: tuple[str, ...]
    """All that were found, the most severe first."""
    scores: Mapping[str, float]
    """Of every category that was scored or found, the highest over the windows of the text."""
    spans: tuple[Span, ...]
    """Where, in characters of the text as it was given, in order."""
    errors: tuple[str, ...] = ()
    """Layers that broke, in words; the policy's `fail` says what that does."""
    characters: int = 0
    """How long the text was."""

    @property
    def blocked(self) -> bool:
        """Tell whether nothing may go on."""
        return self.action == "block"

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {**asdict(self), "scores": dict(self.scores), "blocked": self.blocked}

    def __str__(self) -> str:
        found = ", ".join(f"{name} {self.scores[name]:.2f}" for name in self.categories)
        return f"{self.action}: {found}" if found else self.action
