"""What the filters can be told; made without numpy, for every command reads the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textus.config import Fraction, Settings
from textus.errors import ConfigError

Profile = Literal["domain", "web", "code", "none"]


@dataclass(frozen=True)
class QualityConfig(Settings):
    """Say from which texts a score of quality is learnt."""

    good: tuple[str, ...] = ()
    """Files or folders with texts such as you want; from these and `quality.bad` a classifier is learnt."""
    bad: tuple[str, ...] = ()
    """Files or folders with texts such as you do not want."""
    minimum: Fraction = 0.5
    """Drop texts to which the classifier gives a lower probability of being good."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.good) != bool(self.bad):
            given, missing = ("good", "bad") if self.good else ("bad", "good")
            raise ConfigError(
                f"`quality.{given}` is set and `quality.{missing}` is not",
                hint=f"a classifier is learnt from both: set quality.{missing} too",
            )

    @property
    def is_on(self) -> bool:
        """Tell whether a classifier is to be learnt."""
        return bool(self.good)


@dataclass(frozen=True)
class FilterConfig(Settings):
    """Say which texts are good enough to stay."""

    profile: Profile = "domain"
    """Rules on quality: domain drops only what is certainly broken, web what Gopher, C4 and FineWeb drop from web
    pages, code what StarCoder 2 drops from source files, none nothing."""
    rules: tuple[str, ...] = ()
    """Rules to add or change, as words>=50 (what a text must meet to stay), or to switch off, as -curly_brackets."""
    languages: tuple[str, ...] = ()
    """Keep only texts in these languages (ISO 639-1, such as en or de; und where it cannot be told); all if empty."""
    language_confidence: Fraction = 0.5
    """With `languages`, drop texts of which a smaller share than this is in the language found."""
    quality: QualityConfig = QualityConfig()
    """A score of quality that is learnt from examples."""
    reference: str = ""
    """The directory of a model by which the rule perplexity<=N judges texts; empty: none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rules:
            from textus.corpus.filters.profiles import asked

            asked(self)
        if self.languages:
            from textus.corpus.filters.language import check_language

            for language in self.languages:
                check_language(language)
