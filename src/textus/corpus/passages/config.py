"""What counts as a repeat, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from textus.config import Count, Fraction, Range, Settings
from textus.errors import ConfigError


@dataclass(frozen=True)
class BoilerplateConfig(Settings):
    """Say when lines that many documents share are boilerplate: headers, footers, menus, licence blocks."""

    action: Literal["keep", "report", "remove"] = "remove"
    """What to do with boilerplate lines: keep them unseen, count and show them, or remove them."""
    minimum_documents: Count = 20
    """A line is repeated when so many documents have it."""
    minimum_share: Fraction = 0.0001
    """And when this share of all documents has it; the larger of the two counts."""
    minimum_words: Count = 12
    """Repeated lines are removed only in blocks that have so many words in all."""
    most: Fraction = 0.8
    """A document of whose words boilerplate would take more than this keeps it: it is a licence, or a copy."""


@dataclass(frozen=True)
class PassagesConfig(Settings):
    """Say which passages that other documents have too are repeats."""

    action: Literal["keep", "report", "remove", "mask"] = "keep"
    """What to do with passages that an earlier document has word for word: keep them unseen, report them, remove them,
    or put a mark in their place."""
    mark: str = "[...]"
    """What stands in the place of a masked passage."""
    minimum_words: Annotated[int, Range(8)] = 50
    """Passages of so many words are found, wherever they start."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.action == "mask" and not self.mark.strip():
            raise ConfigError(
                "PassagesConfig: `mark` is empty, and masked passages need one",
                hint="set passages.mark to what is to be seen in their place, or passages.action=remove",
            )
