"""The search for a learning rate, beside trying all of them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.adaptation.heads import _edge_words
from textus.adaptation.trials import Trial, at_edge, search

RATES = (2e-5, 5e-5, 1e-4)


def searched(lowest: float, further: int) -> tuple[Trial, ...]:
    """Search where errors are the distance to a rate on a logarithmic scale."""
    return search(RATES, lambda rate: Trial(Path(), rate, 1, abs(math.log(rate / lowest)), 1.0, 0.0), further)


@given(st.floats(1e-7, 1e-1), st.integers(0, 6))
def test_the_search_ends_inside_or_with_all_that_it_may_try(lowest: float, further: int) -> None:
    tried = searched(lowest, further)
    rates = [trial.rate for trial in tried]
    assert rates[:3] == list(RATES)
    assert at_edge(tried) == "inside" or len(tried) == 3 + further
    assert len(set(rates)) == len(rates) <= 3 + further


@pytest.mark.parametrize(
    ("lowest", "more"),
    [(6e-5, []), (3e-4, [2.5e-4, 6.25e-4]), (1.0, [2.5e-4, 6.25e-4, 1.56e-3]), (1e-5, [8e-6, 3.2e-6])],
)
def test_it_goes_on_where_it_gets_better(lowest: float, more: list[float]) -> None:
    assert [trial.rate for trial in searched(lowest, 3)[3:]] == pytest.approx(more)


def test_equal_errors_are_no_reason_to_go_on() -> None:
    same = [Trial(Path(), rate, 1, 0.0, 1.0, 0.0) for rate in RATES]
    assert at_edge(same) == at_edge(same[:1]) == "inside"
    assert _edge_words(same) == ""


def test_the_report_says_where_the_best_is_the_outermost() -> None:
    assert "highest of those tried: set training.learning_rates to higher ones" in _edge_words(searched(1.0, 0))
    assert "lower ones" in _edge_words(searched(1e-9, 0))
