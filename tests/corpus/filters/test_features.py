"""All measures together: what they are called, and that a text is measured alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.corpus.batch import TextBatch
from textus.corpus.filters.feature import Feature
from textus.corpus.filters.features import FEATURES, features

texts = st.lists(
    st.lists(
        st.sampled_from(["the", "lorem ipsum", " ", " ", "\n", "...", "{", "<b>", "http://x", "ab" * 30]), max_size=60
    ).map("".join)
    | st.text(max_size=40),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25)
@given(texts)
def test_a_text_is_measured_as_if_it_were_alone(given_texts: list[str]) -> None:
    together = features(TextBatch(given_texts))
    for number, text in enumerate(given_texts):
        alone = features(TextBatch([text]))
        for name, column in together.items():
            assert column[number : number + 1].tobytes() == alone[name].tobytes(), name


@settings(max_examples=40)
@given(texts)
def test_shares_lie_between_nothing_and_all(given_texts: list[str]) -> None:
    for name, column in features(TextBatch(given_texts)).items():
        known = column[~np.isnan(column)]
        assert (known >= 0).all(), name
        assert FEATURES[name].unit != "share" or (known <= 1).all(), name


@pytest.mark.parametrize(
    "given_texts", [[], [""], ["", "\n\n", " "], ["\ud800"], ["x" * 300_000], ["\n" * 5000], ["a " * 50_000]]
)
def test_odd_texts_are_measured(given_texts: list[str]) -> None:
    for name, column in features(TextBatch(given_texts)).items():
        assert column.shape == (len(given_texts),)
        assert column.dtype == FEATURES[name].dtype


def test_reasons_differ() -> None:
    names = [name for feature in FEATURES.values() for name in (feature.low, feature.high) if name]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("feature", FEATURES.values(), ids=lambda feature: feature.name)
def test_a_feature_says_what_it_is(feature: Feature) -> None:
    assert feature.definition and feature.source
    assert feature.high
