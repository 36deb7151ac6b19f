from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textus.evaluation.student import quantile, two_sided

stats = pytest.importorskip("scipy.stats")


@given(st.floats(0, 200), st.floats(1, 1e6))
def test_the_tail_is_scipys(t: float, degrees: float) -> None:
    assert two_sided(t, degrees) == pytest.approx(2 * stats.t.sf(t, degrees), rel=1e-7, abs=1e-290)


@given(st.floats(0.01, 0.9999), st.floats(1, 1e6))
def test_the_quantile_is_scipys(confidence: float, degrees: float) -> None:
    assert quantile(confidence, degrees) == pytest.approx(stats.t.ppf((1 + confidence) / 2, degrees), rel=1e-7)


def test_what_is_infinitely_far_never_happens() -> None:
    assert two_sided(float("inf"), 3) == 0.0
