"""What windows of several lengths came to on the same tokens, for people and for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textus.report import Chart, Prose, Report, Score, Section, Shown, Table


@dataclass(frozen=True)
class Place:
    """The loss of tokens that have from `first` to `last` tokens of the window before them."""

    first: int
    last: int
    loss: float
    error: float
    tokens: int


@dataclass(frozen=True)
class Length:
    """What windows of one length came to."""

    context: int
    loss: Score
    bits_per_byte: Score
    difference: float
    """Its loss less that of the longest windows, on the same tokens."""
    difference_error: float
    """Standard error of that, paired."""
    tokens_per_second: float
    """Tokens read: two for each that is scored."""
    cache_bytes: int
    """What keys and values of so many tokens take when the model writes, for one text."""
    peak_bytes: int
    """The most memory of the passes; 0 where the system does not tell."""
    is_extrapolated: bool
    """Whether this is beyond what the model learnt to read."""
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Contexts(Shown):
    """Windows of several lengths on the same tokens."""

    lengths: tuple[Length, ...]
    tokens: int
    """Targets of each length."""
    num_bytes: int
    """What the targets stand for, in UTF-8."""
    documents: int
    """Those that were long enough."""
    seconds: float
    memory: str
    """What the peak is of."""
    note: str

    @property
    def scores(self) -> tuple[Score, ...]:
        """Return all scores, the length in their names."""
        return tuple(score for one in self.lengths for score in (one.loss, one.bits_per_byte))

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            "scores": [score.as_dict() for score in self.scores],
            "lengths": [
                {
                    **{name: value for name, value in vars(one).items() if name not in ("loss", "bits_per_byte")},
                    "loss": one.loss.value,
                    "loss_error": one.loss.error,
                    "bits_per_byte": one.bits_per_byte.value,
                    "bits_per_byte_error": one.bits_per_byte.error,
                    "places": [vars(place) for place in one.places],
                }
                for one in self.lengths
            ],
            "tokens": self.tokens,
            "bytes": self.num_bytes,
            "documents": self.documents,
            "seconds": self.seconds,
            "memory": self.memory,
            "note": self.note,
        }

    def report(self) -> Report:
        """Tell the same for people."""
        names = ("context", "loss", "±", "to the longest", "±", "bits per byte", "±", "tokens/s", "cache MB", "peak MB")
        rows = tuple(
            (
                f"{one.context}{' (extrapolated)' if one.is_extrapolated else ''}",
                *(round(value, 4) for value in (one.loss.value, one.loss.error)),
                *(f"{value:.4f}" for value in (one.difference, one.difference_error)),
                *(round(value, 4) for value in (one.bits_per_byte.value, one.bits_per_byte.error)),
                round(one.tokens_per_second),
                one.cache_bytes / 1e6,
                one.peak_bytes / 1e6 or "not known",
            )
            for one in self.lengths
        )
        lines = {f"{one.context} tokens": [(place.first, place.loss) for place in one.places] for one in self.lengths}
        sections: list[tuple[str, Section]] = [
            ("What context buys and what it costs", Table(names, rows)),
            ("What these mean", Prose(f"{self.note}; {self.memory}")),
            ("Loss by place", Chart("Loss by place in the window", "tokens before", "nats per token", lines, True)),
        ]
        return Report("Context", tuple(sections))
