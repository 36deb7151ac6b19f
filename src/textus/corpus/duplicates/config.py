"""What the search for near-duplicates can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from textus.config import Count, Fraction, Natural, Range, Settings
from textus.errors import ConfigError


@dataclass(frozen=True)
class DuplicatesConfig(Settings):
    """Say which documents count as the same, and how hard to look for them.

    Likeness is the Jaccard index of the sets of five-word runs of two documents: what both hold, as a share of what
    either holds.
    """

    words: Count = 5
    """How many words in a row are compared; longer runs forgive fewer edits."""
    bands: Annotated[int, Range(1, 512)] = 28
    """How many signatures each document gets; two documents that share one are compared."""
    rows: Annotated[int, Range(1, 32)] = 4
    """Of how many minima a signature is made; more find fewer pairs, and fewer that are unlike."""
    seed: Natural = 0
    """Which permutations the signatures are made with."""
    threshold: Annotated[float, Range(0, 1, open_low=True)] = 0.8
    """Drop a document that is at least so like one that is kept."""
    containment: Fraction = 0.0
    """Drop a document of whose five-word runs at least this share stands in a longer one that is kept; 0: never."""
    related: Annotated[float, Range(0, 1, open_low=True)] = 0.5
    """Documents that are at least so alike stay in one split."""
    largest_cluster: Annotated[float, Range(0, 1, open_low=True)] = 0.05
    """A cluster of more than this share of all bytes is trained on whole: none of it is held out."""
    all_pairs: Annotated[int, Range(2)] = 32
    """Up to how many documents of one signature are compared each with each; in larger groups, with a few."""
    hubs: Count = 8
    """With how many documents of a larger group each of it is compared."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if (minima := self.bands * self.rows) > 4096:
            raise ConfigError(
                f"DuplicatesConfig: {self.bands} bands x {self.rows} rows are {minima} minima a document",
                hint="4096 are the most; 28 x 4 miss one pair in two million at Jaccard 0.8",
            )

    @property
    def signature(self) -> tuple[int, ...]:
        """Return the settings on which signatures, and so the pairs that are compared, depend."""
        return self.words, self.bands, self.rows, self.seed, self.all_pairs, self.hubs

    def recall(self, likeness: float) -> float:
        """Return the probability that two documents of this Jaccard index are compared.

        >>> [round(DuplicatesConfig().recall(likeness), 3) for likeness in (0.8, 0.7, 0.6, 0.5, 0.3)]
        [1.0, 1.0, 0.979, 0.836, 0.204]
        """
        return float(1 - (1 - likeness**self.rows) ** self.bands)


@dataclass(frozen=True)
class LeakageConfig(Settings):
    """Say when a held-out document counts as seen in training."""

    words: Count = 5
    """How many words in a row are compared."""
    likeness: Annotated[float, Range(0.2, 1)] = 0.5
    """It is seen when a training document has at least this Jaccard index with it."""
    containment: Annotated[float, Range(0.2, 1)] = 0.8
    """It is seen when at least this share of its own five-word runs stands in one training document."""


@dataclass(frozen=True)
class SemanticConfig(Settings):
    """Say which documents mean the same, by the angle between their embeddings."""

    model: str = ""
    """The directory of a model whose embeddings tell what texts mean: a run of Textus, or a Hugging Face or
    sentence-transformers directory; empty: meaning is not looked at."""
    threshold: Annotated[float, Range(0, 1, open_low=True)] = 0.95
    """Drop a document whose embedding has at least this cosine with that of one that is kept; depends on the model."""
    centred: bool = True
    """Take the mean of all embeddings from each first: those of language models all point one way."""
    exact_documents: Count = 20_000
    """Up to how many documents each is compared with each; more are put into clusters first."""
    cluster_documents: Count = 2_000
    """How many documents a cluster holds about."""
    assignments: Count = 2
    """In how many of the nearest clusters each document is compared; more find more pairs across borders."""
    seed: Natural = 0
    """Where the search for clusters starts."""

    @property
    def is_on(self) -> bool:
        """Tell whether meaning is to be looked at."""
        return bool(self.model)
