"""What a layer finds, and what a layer is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Something found from `start` to before `end`, in characters of the text as it was given."""

    start: int
    end: int
    category: str
    layer: str
    """Which layer found it; `classifier` for scores, which are of a whole window."""
    score: float = 1.0
    rule: str = ""
    """Which of a layer's rules, where it has several."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Reading:
    """What one window holds."""

    spans: tuple[Span, ...]
    """Counted from the window's beginning; what the classifier found is of all of it."""
    scores: Mapping[str, float]
    errors: tuple[str, ...]
    """Layers that broke, in words."""


class Layer(Protocol):
    """A set of rules."""

    @property
    def name(self) -> str:
        """What its spans say found them."""
        ...

    @property
    def categories(self) -> Sequence[str]:
        """Every category that it may find."""
        ...

    def __call__(self, text: str) -> Iterable[Span]:
        """Find things in a text, each with its place."""
        ...
