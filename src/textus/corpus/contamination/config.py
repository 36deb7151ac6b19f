"""What the corpus must not hold, and what is done where it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from textus.config import Count, Fraction, Range, Settings
from textus.errors import ConfigError


@dataclass(frozen=True)
class ContaminationConfig(Settings):
    """Say against which evaluation sets documents are held, and when one counts as contaminated."""

    against: tuple[str, ...] = ()
    """Files or folders of evaluation sets: JSON lines, JSON, CSV, Parquet or text; a set is a file."""
    action: Literal["report", "drop", "cut"] = "cut"
    """What to do with a document that holds an item: report it, drop it, or cut the item out of it."""
    size: Annotated[int, Range(2)] = 13
    """Words in an n-gram: so many in a row that two texts share are evidence."""
    minimum_words: Annotated[int, Range(1)] = 8
    """An item shorter than `size` is looked for as a whole; shorter than this it is not, for chance would find it."""
    threshold: Annotated[float, Range(0, 1, open_low=True)] = 0.5
    """Share of an item's n-grams that a document must have."""
    common_documents: Count = 100
    """An n-gram in more documents than this is common language or a licence, and no evidence."""
    common_share: Fraction = 0.001
    """And in more than this share of all documents; the larger of the two counts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.size <= 2 * self.minimum_words <= 2 * self.size:
            raise ConfigError(
                f"ContaminationConfig: `minimum_words` must be from half of `size` to `size`; got {self.minimum_words} "
                f"and {self.size}",
                hint="for example size=13 minimum_words=8",
            )
