"""One pass over many texts that computes everything the rules may ask about them."""

from __future__ import annotations

from textus.corpus.batch import TextBatch
from textus.corpus.filters import characters, layout, markup, repetition, wording
from textus.corpus.filters.feature import Column, Feature

_FAMILIES = (characters, wording, layout, repetition, markup)
FEATURES: dict[str, Feature] = {feature.name: feature for family in _FAMILIES for feature in family.FEATURES}
"""Every measure, by name, in the order of the columns."""


def features(batch: TextBatch) -> dict[str, Column]:
    """Measure every text: one value a text for each of `FEATURES`, which does not depend on the other texts.

    >>> found = features(TextBatch(["To be, or not to be.", ""]))
    >>> found["words"].tolist(), found["mean_word_length"].tolist()
    ([6, 0], [2.1666667461395264, nan])
    """
    columns: dict[str, Column] = {}
    for family in _FAMILIES:
        columns |= family.measure(batch)
    assert list(columns) == list(FEATURES)
    return {name: column.astype(FEATURES[name].dtype, copy=False) for name, column in columns.items()}
