"""How much of an evaluation text the training text has, and the scores of what it has not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textus.report import Score


@dataclass(frozen=True)
class Contamination:
    """What of an evaluation text stands in training, by runs of words that both have."""

    words: int
    """Words in a run."""
    threshold: float
    """A document counts as seen where training has at least this share of its runs."""
    overlap: float
    """Share of all bytes, those of each document by the share of its runs that training has."""
    documents: int
    num_bytes: int
    """Of the documents that were seen."""
    clean_documents: int
    clean: tuple[Score, ...]
    """The scores of the others; none where there are no others."""
    false_share: float
    """With what probability a run counts as seen that was not."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        rest = {name: value for name, value in vars(self).items() if name not in ("num_bytes", "clean")}
        return {**rest, "bytes": self.num_bytes, "clean": [score.as_dict() for score in self.clean]}

    def __str__(self) -> str:
        total = self.documents + self.clean_documents
        found = f"training has {self.overlap:.1%} of this text in runs of {self.words} words"
        if not self.documents:
            return f"{found}, and no document for the most part"
        seen = f"{found}, and of {self.documents} of {total} documents {self.threshold:.0%} or more"
        if not self.clean:
            return f"{seen}: this measures memory; give texts that training has not seen"
        return f"{seen}; on the others: {', '.join(map(str, self.clean))}"
