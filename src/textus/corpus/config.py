"""What the corpus stage can be told."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from typing import Annotated, Literal

from textus.config import Count, Natural, Positive, Range, Settings
from textus.corpus.contamination.config import ContaminationConfig
from textus.corpus.duplicates.config import DuplicatesConfig, LeakageConfig, SemanticConfig
from textus.corpus.filters.config import FilterConfig
from textus.corpus.passages.config import BoilerplateConfig, PassagesConfig
from textus.corpus.privacy.config import PrivacyConfig
from textus.corpus.split_config import SplitConfig
from textus.corpus.work.config import WorkConfig
from textus.errors import ConfigError

MEGABYTE = 1_000_000
"""Bytes in a megabyte, here and in every setting that ends in `_mb`."""


@dataclass(frozen=True)
class CorpusConfig(Settings):
    """Say how files are read, cleaned and divided."""

    text_column: str = "text"
    """The column or key that holds the text in JSON, CSV and Parquet."""
    encoding: str = "auto"
    """How text files are encoded; "auto" tries the byte order mark, UTF-8, then a guess that the report names."""
    fix_unicode: bool = True
    """Repair text that was decoded wrongly (â€™ for ’) and compose accents (NFC)."""
    deduplicate: Literal["near", "exact", "none"] = "near"
    """Drop documents that are nearly the same as one that stays, only those of the same words, or none: then what
    training shares with files given to measure on is reported and stays."""
    minimum_characters: Natural = 1
    """Drop documents that are shorter than this after cleaning."""
    maximum_document_mb: Positive = 16.0
    """Cut longer plain text at a paragraph, line or word; refuse a longer JSON, CSV, Parquet or HTML record."""
    validation_fraction: Annotated[float, Range(0, 0.5, open_low=True)] = 0.05
    """Share of the bytes that is kept out of training to measure on."""
    test_fraction: Annotated[float, Range(0, 0.4)] = 0.0
    """Share of the bytes that is kept for a final measurement; 0 keeps none."""
    minimum_split_documents: Count = 20
    """With fewer documents than this, the end of each document is held out instead of whole documents."""
    validation: tuple[str, ...] = ()
    """Files or folders to measure on, instead of a share of the input; what repeats them leaves training, as far as
    `deduplicate` says."""
    unreadable: Literal["stop", "skip"] = "stop"
    """What to do at a file or record that cannot be read: stop with its name, or skip it and report it."""
    priority: tuple[str, ...] = ()
    """Sources by which documents are kept where others are like them, the first first, as the report names sources."""
    filter: FilterConfig = field(default_factory=FilterConfig)
    """Which texts are good enough."""
    privacy: PrivacyConfig = field(default_factory=PrivacyConfig)
    """What is done about personal data."""
    boilerplate: BoilerplateConfig = field(default_factory=BoilerplateConfig)
    """What is done about lines that many documents share."""
    passages: PassagesConfig = field(default_factory=PassagesConfig)
    """What is done about passages that several documents have."""
    contamination: ContaminationConfig = field(default_factory=ContaminationConfig)
    """Against which evaluation sets documents are held."""
    duplicates: DuplicatesConfig = field(default_factory=DuplicatesConfig)
    """How near duplicates are found, and which are dropped."""
    semantic: SemanticConfig = field(default_factory=SemanticConfig)
    """Which documents are dropped for saying the same as another in other words."""
    split: SplitConfig = field(default_factory=SplitConfig)
    """What decides which documents are held out."""
    leakage: LeakageConfig = field(default_factory=LeakageConfig)
    """When a held-out document counts as seen in training."""
    work: WorkConfig = field(default_factory=WorkConfig)
    """Who does the work, and in what pieces."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoding != "auto":
            _check_encoding(self.encoding)
        if self.semantic.is_on and self.deduplicate == "none":
            raise ConfigError(
                "CorpusConfig: `semantic.model` drops what means the same, and `deduplicate` is none",
                hint="leave one of the two out",
            )

    @property
    def maximum_bytes(self) -> int:
        """Return the longest document in bytes of UTF-8; at least 1."""
        return max(1, round(self.maximum_document_mb * MEGABYTE))


def _check_encoding(name: str) -> None:
    try:
        codecs.getincrementaldecoder(name)
        " ".encode(name)
    except (LookupError, ValueError):
        raise ConfigError(
            f"CorpusConfig: `encoding` must be auto or an encoding that Python knows; got {name!r}",
            hint="for example utf-8, latin-1, cp1252, shift_jis, gb18030",
        ) from None
