"""A rule on one measure, and how people write it."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from textus.corpus.filters.feature import OURS, Column, Feature
from textus.corpus.filters.features import FEATURES
from textus.errors import ConfigError

Comparison = Literal[">=", "<=", ">", "<"]
_COMPARE = {">=": np.greater_equal, "<=": np.less_equal, ">": np.greater, "<": np.less}
_WRITTEN = re.compile(r"\s*(?P<feature>\w+)\s*(?P<comparison>>=|<=|>|<)\s*(?P<threshold>[^\s<>=]\S*)\s*")
_GRAMMAR = "a rule is what a text must meet to stay, as words>=50, or -words to switch the rules on words off"
LEARNT: dict[str, Feature] = {
    feature.name: feature
    for feature in (
        Feature("quality", "probability of being good, by the classifier that was trained on `quality.good` and "
                "`quality.bad`", OURS, "share", "low quality", "high quality"),
        Feature("perplexity", "perplexity under a reference model", "CCNet (Wenzek et al. 2020)", "ratio",
                "low perplexity", "high perplexity"),
    )
}  # fmt: skip
"""Measures that need something learnt; a rule may ask about them where their column is there."""
KNOWN = FEATURES | LEARNT


@dataclass(frozen=True)
class Rule:
    """Say what a text must meet to stay; NaN, of which nothing can be said, meets every rule.

    >>> rule = Rule.of("mean_word_length <= 10")
    >>> rule.text, rule.name
    ('mean_word_length<=10', 'long words')
    """

    feature: str
    comparison: Comparison
    threshold: float

    @classmethod
    def of(cls, text: str) -> Rule:
        """Read a rule; raise `ConfigError` with what was meant."""
        found = _WRITTEN.fullmatch(text)
        if not found:
            raise ConfigError(f"`{text}` is not a rule", hint=_GRAMMAR)
        _known(found["feature"], text)
        try:
            threshold = float(found["threshold"])
        except ValueError:
            threshold = math.nan
        if not math.isfinite(threshold):
            raise ConfigError(f"`{text}`: {found['threshold']} is not a number", hint=_GRAMMAR)
        return cls(found["feature"], found["comparison"], threshold)  # type: ignore[arg-type]

    @property
    def asks_for_more(self) -> bool:
        """Tell whether too little breaks the rule, not too much."""
        return self.comparison[0] == ">"

    @property
    def key(self) -> tuple[str, bool]:
        """Return what there is one rule for: a measure, and a side."""
        return self.feature, self.asks_for_more

    @property
    def text(self) -> str:
        """Return the rule as it is written."""
        return f"{self.feature}{self.comparison}{self.threshold:g}"

    @property
    def name(self) -> str:
        """Return in words what is wrong with a text that breaks it."""
        feature = KNOWN[self.feature]
        return (feature.low if self.asks_for_more else feature.high) or self.text

    def broken(self, columns: Mapping[str, Column]) -> NDArray[np.bool_]:
        """Tell which texts break it."""
        if self.feature not in columns:
            raise ConfigError(
                f"rule {self.text}: no text has been measured for {self.feature}",
                hint="quality needs quality.good and quality.bad, perplexity a reference model",
            )
        column = columns[self.feature]
        with np.errstate(invalid="ignore"):
            return np.asarray(~(_COMPARE[self.comparison](column, self.threshold) | np.isnan(column)))


def changed(rules: tuple[Rule, ...], changes: tuple[str, ...]) -> tuple[Rule, ...]:
    """Add, replace and switch off rules, from left to right.

    >>> rules = changed((Rule.of("words>=50"), Rule.of("words<=1000")), ("words>=5", "links<0.5"))
    >>> [rule.text for rule in rules]
    ['words>=5', 'words<=1000', 'links<0.5']
    >>> changed(rules, ("-words", "-links"))
    ()
    """
    by_key = {rule.key: rule for rule in rules}
    for text in changes:
        if text.strip().startswith("-"):
            feature = text.strip()[1:].strip()
            _known(feature, text)
            switched_off = [key for key in by_key if key[0] == feature]
            if not switched_off:
                raise ConfigError(
                    f"`{text}`: there is no rule on {feature} to switch off",
                    hint="rules here: " + (", ".join(rule.text for rule in by_key.values()) or "none"),
                )
            for key in switched_off:
                del by_key[key]
        else:
            rule = Rule.of(text)
            by_key[rule.key] = rule
    return tuple(by_key.values())


def _known(feature: str, text: str) -> None:
    if feature not in KNOWN:
        close = difflib.get_close_matches(feature, KNOWN, n=1, cutoff=0.5)
        raise ConfigError(
            f"`{text}`: no measure `{feature}`",
            hint=f"did you mean {close[0]}?" if close else "measures: " + ", ".join(KNOWN),
        )
