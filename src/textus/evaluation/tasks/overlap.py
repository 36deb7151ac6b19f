"""Which items of a task stand in the training text, and what the others score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from textus.corpus.batch import TextBatch
from textus.corpus.contamination.config import ContaminationConfig
from textus.corpus.contamination.grams import Grams, training_grams
from textus.corpus.corpus import Corpus
from textus.evaluation.tasks.tally import TaskScore
from textus.progress import SILENT, Progress

SHORT_SUFFIX = ".grams-short"
"""Where the shorter runs of a corpus are kept, beside its longer ones."""


@dataclass(frozen=True, eq=False)
class Lookup:
    """The runs of words of a training text, long ones and those that short items are looked for by."""

    long: Grams
    short: Grams
    threshold: float

    @classmethod
    def of(cls, corpus: Corpus, config: ContaminationConfig, progress: Progress = SILENT) -> Lookup:
        """Return the runs of a corpus' training part, kept beside it or made now."""
        long = training_grams(corpus, config.size, progress)
        short = training_grams(corpus, config.minimum_words, progress, SHORT_SUFFIX)
        return cls(long, short, config.threshold)

    def look(self, texts: Sequence[str]) -> tuple[Bool[ndarray, " texts"], Bool[ndarray, " texts"]]:
        """Tell which texts training has, and which are too short to be looked for: chance would find them.

        A text counts as seen where training has at least `threshold` of its runs; one that is shorter than a run, where
        training has all of its shorter ones.
        """
        words = np.asarray(TextBatch(texts).words.counts)
        is_long, is_short = words >= self.long.size, words < self.short.size
        seen = np.where(
            is_long, self.long.coverage(texts) >= self.threshold, (self.short.coverage(texts) >= 1) & ~is_short
        )
        return seen, is_short


@dataclass(frozen=True)
class Overlap:
    """What of a task's items stands in training."""

    words: int
    """Words in a run; items of fewer are looked for as a whole."""
    shortest: int
    """Items of fewer words are not looked for."""
    threshold: float
    items: int
    """Items that training has."""
    not_looked_for: int
    clean_items: int
    clean: tuple[TaskScore, ...]
    """The scores of the others; none where there are no others."""
    false_share: float
    """With what probability a run counts as seen that was not."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {**vars(self), "clean": [score.as_dict() for score in self.clean]}

    def __str__(self) -> str:
        total = self.items + self.clean_items
        short = f" ({self.not_looked_for} of fewer than {self.shortest} words were not looked for)"
        found = f"training has {self.items} of {total} items" + (short if self.not_looked_for else "")
        if not self.items:
            return found
        if not self.clean:
            return f"{found}: this measures memory"
        return f"{found}; the others score {', '.join(map(str, self.clean))}"
