"""The pages on filters show today's rules and measures; a failure says what their tables should be."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from textus.corpus.filters.feature import Feature
from textus.corpus.filters.features import FEATURES
from textus.corpus.filters.profiles import PROFILES

DOCS = Path(__file__).parents[3] / "docs"
PAGE, MEASURES = DOCS / "filters.md", DOCS / "measures.md"


def for_any_size(feature: Feature) -> str:
    return re.sub(r"\b\d+ words in a row", "n words in a row", feature.definition)


def table_of_measures() -> str:
    rows = ["| measure | definition | unit | source |", "|---|---|---|---|"]
    for definition, group in groupby(FEATURES.values(), for_any_size):
        features = list(group)
        names = " ".join(feature.name for feature in features)
        rows.append(f"| `{names}` | {definition} | {features[0].unit} | {features[0].source} |")
    return "\n".join(rows)


def table_of_profiles() -> str:
    rows = ["| profile | a text stays that has |", "|---|---|"]
    for profile, rules in PROFILES.items():
        rows.append(f"| {profile} | {', '.join(f'`{rule.text}`' for rule in rules) or 'anything'} |")
    return "\n".join(rows)


def test_the_page_shows_every_measure() -> None:
    assert table_of_measures() in MEASURES.read_text("utf-8")


def test_the_page_shows_every_rule() -> None:
    assert table_of_profiles() in PAGE.read_text("utf-8")
