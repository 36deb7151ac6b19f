"""Rules: what is written is what is asked, and mistakes are answered."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.corpus.filters.rules import KNOWN, Rule, changed
from textus.errors import ConfigError

rules = st.builds(
    Rule,
    st.sampled_from(sorted(KNOWN)),
    st.sampled_from([">=", "<=", ">", "<"]),
    st.integers(-1000, 1000).map(lambda n: n / 8),
)


@given(rules)
def test_a_rule_is_read_as_it_is_written(rule: Rule) -> None:
    assert Rule.of(rule.text) == rule
    assert Rule.of(f"  {rule.feature} {rule.comparison} {rule.threshold!r} ") == rule
    assert rule.name


@given(rules, st.lists(st.floats(width=32) | st.integers(-1000, 1000).map(lambda n: n / 8), max_size=8))
def test_what_does_not_meet_a_rule_breaks_it(rule: Rule, values: list[float]) -> None:
    meets = {">=": lambda v: v >= rule.threshold, "<=": lambda v: v <= rule.threshold,
             ">": lambda v: v > rule.threshold, "<": lambda v: v < rule.threshold}[rule.comparison]  # fmt: skip
    found = rule.broken({rule.feature: np.array(values, np.float32)})
    assert found.tolist() == [not meets(value) and not math.isnan(value) for value in values]


def test_a_share_at_a_published_threshold_is_compared_as_the_paper_does() -> None:
    columns = {"punctuated_lines": np.array([3 / 25], np.float32)}
    assert Rule.of("punctuated_lines>0.12").broken(columns).tolist() == [True]
    assert Rule.of("punctuated_lines>=0.12").broken(columns).tolist() == [False]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("wrods>=50", "no measure `wrods`", "did you mean words?"),
        ("zzzz>1", "no measure `zzzz`", "measures: characters"),
        ("words=50", "is not a rule", "words>=50"),
        ("words>=", "is not a rule", "words>=50"),
        ("", "is not a rule", "words>=50"),
        ("words>=many", "many is not a number", ""),
        ("words>=nan", "nan is not a number", ""),
        ("words>=inf", "inf is not a number", ""),
    ],
)
def test_mistakes_are_named(text: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Rule.of(text)
    assert hint in caught.value.hint


def test_switching_off_needs_something_to_switch_off() -> None:
    with pytest.raises(ConfigError, match="no rule on links") as caught:
        changed((Rule.of("words>=5"),), ("-links",))
    assert "words>=5" in caught.value.hint
    with pytest.raises(ConfigError, match="no measure") as caught:
        changed((), ("-curly_braket",))
    assert "curly_brackets" in caught.value.hint


def test_changes_apply_from_left_to_right() -> None:
    assert [rule.text for rule in changed((), ("words>=5", "words>7", "words<9", "-words", "links<1"))] == ["links<1"]
    assert [rule.text for rule in changed((Rule.of("words>=5"),), ("words>7",))] == ["words>7"]


def test_what_was_not_measured_is_named() -> None:
    with pytest.raises(ConfigError, match="measured for perplexity"):
        Rule.of("perplexity<=100").broken({"words": np.zeros(1)})
