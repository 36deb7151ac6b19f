import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textus.adaptation.measures import middle, of_labels, of_sets, ratio

LABELS = st.integers(2, 4).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)), min_size=1, max_size=30),
    )
)


@settings(max_examples=40)
@given(LABELS)
def test_measures_are_those_of_scikit_learn(drawn):
    metrics = pytest.importorskip("sklearn.metrics")
    size, pairs = drawn
    true, answered = np.array(pairs).T
    found = of_labels(true, answered, size)
    there = sorted(set(true) | set(answered))
    assert found["accuracy"].value == pytest.approx(metrics.accuracy_score(true, answered))
    macro = metrics.f1_score(true, answered, labels=there, average="macro", zero_division=0)
    assert found["macro_f1"].value == pytest.approx(macro)
    # of one label alone theirs warns, and says 0 as ours
    mcc = metrics.matthews_corrcoef(true, answered) if len(there) > 1 else 0.0
    assert found["mcc"].value == pytest.approx(mcc)
    if size == 2:
        assert found["f1"].value == pytest.approx(metrics.f1_score(true, answered, zero_division=0))


def test_the_error_of_accuracy_is_the_binomials():
    true, answered = np.zeros(400, np.int64), (np.arange(400) < 120).astype(np.int64)
    assert of_labels(true, answered, 2)["accuracy"].error == pytest.approx((0.3 * 0.7 / 400) ** 0.5, rel=0.1)


def test_several_labels_at_once():
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.Generator(np.random.Philox(3))
    true, answered = (draw.integers(0, 2, (40, 3)) for _ in range(2))
    found = of_sets(true, answered)
    assert found["exact_match"].value == pytest.approx(metrics.accuracy_score(true, answered))
    for kind in ("micro", "macro"):
        value = metrics.f1_score(true, answered, average=kind, zero_division=0)
        assert found[f"{kind}_f1"].value == pytest.approx(value)
        assert 0 < found[f"{kind}_f1"].error < 0.2


def test_the_error_of_a_ratio_is_that_of_drawing_texts_anew():
    draw = np.random.Generator(np.random.Philox(1))
    under = draw.integers(1, 9, 300).astype(np.float64)
    over = np.minimum(under, draw.integers(0, 9, 300))
    rows = draw.integers(0, 300, (2000, 300))
    drawn = over[rows].sum(1) / under[rows].sum(1)
    found = ratio(over, under)
    assert found.value == pytest.approx(over.sum() / under.sum())
    assert found.error == pytest.approx(drawn.std(), rel=0.1)
    assert ratio(np.zeros(2), np.zeros(2)).value == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_as_many_values_lie_below_the_middle_as_above(values):
    value = values[middle(values)]
    below, above = sum(one < value for one in values), sum(one > value for one in values)
    assert below <= (len(values) - 1) // 2 and above <= len(values) // 2
