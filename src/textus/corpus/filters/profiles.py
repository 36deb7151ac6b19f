"""Profiles: which rules a kind of corpus gets, and the verdict on every text from its measures alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textus.corpus.filters.config import FilterConfig, Profile
from textus.corpus.filters.feature import Column
from textus.corpus.filters.language import UNDETERMINED
from textus.corpus.filters.rules import Rule, changed

_UNREADABLE = ("words>=1", "unprintable<=0.1", "replaced<=0.1")
PROFILES: dict[Profile, tuple[Rule, ...]] = {
    # Only what no author can have meant. Each threshold lies beyond everything in the good text that we have.
    "domain": tuple(map(Rule.of, (
        *_UNREADABLE, "letter_pairs>=2", "encoded<=0.5", "links<=0.7", "placeholder_words<=0.3",
        "duplicate_10gram<=0.8", "duplicate_line_characters<=0.9",
    ))),
    # As published. Gopher's 0.2 for characters in repeated lines is inside FineWeb's 0.1.
    "web": tuple(map(Rule.of, (
        "words>=50", "words<=100000", "mean_word_length>=3", "mean_word_length<=10", "hashes_per_word<=0.1",
        "ellipses_per_word<=0.1", "bullet_lines<=0.9", "ellipsis_lines<=0.3", "alphabetic_words>=0.8",
        "stop_words>=2",
        "duplicate_lines<=0.3", "duplicate_paragraphs<=0.3", "duplicate_paragraph_characters<=0.2",
        "top_2gram<=0.2", "top_3gram<=0.18", "top_4gram<=0.16", "duplicate_5gram<=0.15", "duplicate_6gram<=0.14",
        "duplicate_7gram<=0.13", "duplicate_8gram<=0.12", "duplicate_9gram<=0.11", "duplicate_10gram<=0.1",
        "lorem_ipsum<=0", "curly_brackets<=0", "sentences>=5",
        "punctuated_lines>0.12", "duplicate_line_characters<0.1", "short_lines<0.67",
    ))),
    "code": tuple(map(Rule.of, (
        *_UNREADABLE, "lines<=100000", "longest_line<=1000", "mean_line_length<=100", "letters>=0.25",
        "encoded<=0.5",
    ))),
    "none": (),
}  # fmt: skip
"""The rules of each profile, in the order in which they are asked."""
OTHER_LANGUAGE, UNSURE_LANGUAGE = "another language", "uncertain language"


def asked(config: FilterConfig) -> tuple[Rule, ...]:
    """Return the rules of the profile, as the settings change them."""
    learnt = (f"quality>={config.quality.minimum}",) if config.quality.is_on else ()
    return changed(PROFILES[config.profile], (*learnt, *config.rules))


@dataclass(frozen=True)
class Verdicts:
    """Which texts stay, and which rules the others break."""

    names: tuple[str, ...]
    """What is wrong with a text, in words, for each rule."""
    rules: tuple[str, ...]
    """The rules as they are written."""
    broken: NDArray[np.bool_]
    """Whether a rule, by row, is broken by a text, by column."""

    @property
    def reasons(self) -> NDArray[np.int16]:
        """Return for each text the number of the first rule that it breaks, from 1; 0 stays."""
        nothing = np.zeros((1, self.broken.shape[1]), bool)
        first = np.concatenate([self.broken, ~nothing]).argmax(0) + 1
        return np.where(first > len(self.rules), 0, first).astype(np.int16)

    def dropped(self) -> dict[str, int]:
        """Count the texts by the first rule that they break."""
        counts = np.bincount(self.reasons, minlength=len(self.names) + 1)[1:].tolist()
        return {name: count for name, count in zip(self.names, counts, strict=True) if count}

    def breaking(self) -> dict[str, int]:
        """Count the texts that break each rule, whatever else they break."""
        counts = self.broken.sum(1).tolist()
        return {name: count for name, count in zip(self.names, counts, strict=True) if count}


def verdicts(columns: Mapping[str, Column], config: FilterConfig) -> Verdicts:
    """Judge every text by its columns: the features, and `language` and `language_confidence` where they are asked.

    >>> from textus.corpus.batch import TextBatch
    >>> from textus.corpus.filters.features import features
    >>> columns = features(TextBatch(["It was the best of times.", "no " * 500, "***"]))
    >>> found = verdicts(columns, FilterConfig())
    >>> [found.names[reason - 1] if reason else "stays" for reason in found.reasons]
    ['stays', 'repeated phrases of 10 words', 'few words']
    >>> verdicts(columns, FilterConfig(rules=("words>=3", "-duplicate_10gram"))).reasons.tolist()
    [0, 0, 1]
    """
    rules = asked(config)
    names, texts = [rule.name for rule in rules], [rule.text for rule in rules]
    broken = [rule.broken(columns) for rule in rules]
    if config.languages:
        other = ~np.isin(np.asarray(columns["language"], str), config.languages)
        names += [OTHER_LANGUAGE, UNSURE_LANGUAGE]
        texts += ["languages", f"language_confidence>={config.language_confidence:g}"]
        unsure = np.asarray(columns["language_confidence"]) < config.language_confidence
        # That a text is too short to tell is certain.
        broken += [other, unsure & ~other & (np.asarray(columns["language"], str) != UNDETERMINED)]
    length = len(next(iter(columns.values()), ()))
    return Verdicts(tuple(names), tuple(texts), np.array(broken, bool).reshape(len(names), length))
