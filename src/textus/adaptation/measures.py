"""What answers are worth: accuracy, F1 and Matthews' correlation, each with its standard error.

All follow from the table of how often label i was answered where label j is true. Drawing the examples anew, with
replacement, draws that table from a multinomial, and the spread of a measure over such tables is its standard error
(the bootstrap, Efron 1979). Words of one text are not drawn apart from each other: there whole texts are, by
linearisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

_TABLES = 1000
"""Drawn for a standard error."""


@dataclass(frozen=True)
class Measure:
    """A number and its standard error."""

    value: float
    error: float


def of_labels(
    true: Int[ndarray, " examples"], answered: Int[ndarray, " examples"], num_labels: int
) -> dict[str, Measure]:
    """Return accuracy, macro F1 and MCC, and of two labels F1 of the second.

    >>> found = of_labels(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 2)
    >>> [(name, round(measure.value, 3)) for name, measure in found.items()]
    [('accuracy', 0.75), ('macro_f1', 0.733), ('mcc', 0.577), ('f1', 0.8)]
    """
    table = np.bincount(true * num_labels + answered, minlength=num_labels**2)
    drawn = np.random.Generator(np.random.Philox(0)).multinomial(table.sum(), table / table.sum(), _TABLES)
    exact, spread = (_of_tables(tables.reshape(-1, num_labels, num_labels)) for tables in (table[None], drawn))
    # of drawn tables, some may have no measure: with one label alone there is nothing to correlate
    return {name: Measure(float(np.nan_to_num(values[0])), _deviation(spread[name])) for name, values in exact.items()}


def _deviation(values: Float[ndarray, " tables"]) -> float:
    there = values[np.isfinite(values)]
    return float(there.std()) if len(there) else 0.0


def _of_tables(tables: Int[ndarray, "tables labels labels"]) -> dict[str, Float[ndarray, " tables"]]:
    """Compute the measures of tables [true, answered]; NaN where there is none."""
    counts = tables.astype(np.float64)
    total, right = counts.sum((1, 2)), np.trace(counts, axis1=1, axis2=2)
    true, answered, hits = counts.sum(2), counts.sum(1), np.diagonal(counts, axis1=1, axis2=2)
    # a label that is neither there nor answered has no F1, and counts for nothing
    there = (true + answered) > 0
    f1 = np.divide(2 * hits, true + answered, out=np.zeros_like(hits), where=there)
    # Gorodkin 2004: the correlation of true and answered labels as vectors
    covered = right * total - (true * answered).sum(1)
    spread = np.sqrt((total**2 - (true**2).sum(1)) * (total**2 - (answered**2).sum(1)))
    found = {
        "accuracy": right / total,
        "macro_f1": f1.sum(1) / there.sum(1),
        "mcc": np.divide(covered, spread, out=np.full_like(covered, np.nan), where=spread > 0),
    }
    return found | ({"f1": f1[:, 1]} if tables.shape[1] == 2 else {})


def of_sets(true: Int[ndarray, "examples labels"], answered: Int[ndarray, "examples labels"]) -> dict[str, Measure]:
    """Return of several labels at once how often all are right, and F1 over all and over labels evenly."""
    wanted, given = true.astype(np.float64), answered.astype(np.float64)
    hits, sizes = wanted * given, wanted + given
    exact = (true == answered).all(1).astype(np.float64)
    per_label = [ratio(2 * hits[:, label], sizes[:, label]) for label in range(true.shape[1]) if sizes[:, label].any()]
    macro = float(np.mean([measure.value for measure in per_label])) if per_label else 0.0
    drawn = np.random.Generator(np.random.Philox(0)).integers(0, len(true), (200, len(true)))
    macros = [_macro(hits[rows].sum(0), sizes[rows].sum(0)) for rows in drawn]
    return {
        "exact_match": ratio(exact, np.ones_like(exact)),
        "micro_f1": ratio(2 * hits.sum(1), sizes.sum(1)),
        "macro_f1": Measure(macro, float(np.std(macros))),
    }


def _macro(hits: Float[ndarray, " labels"], sizes: Float[ndarray, " labels"]) -> float:
    there = sizes > 0
    return float(np.mean(2 * hits[there] / sizes[there])) if there.any() else 0.0


def ratio(over: Float[ndarray, " texts"], under: Float[ndarray, " texts"]) -> Measure:
    """Return a ratio of sums over texts, with its standard error by linearisation: texts are drawn, not words.

    >>> ratio(np.array([1.0, 1.0, 4.0]), np.array([2.0, 2.0, 4.0])).value
    0.75
    """
    total = under.sum()
    if not total:
        return Measure(0.0, 0.0)
    value = over.sum() / total
    residual = over - value * under
    count = len(over)
    scale = count / (count - 1) if count > 1 else 1.0
    return Measure(float(value), float(np.sqrt(scale * (residual**2).sum()) / total))


def middle(values: Sequence[float]) -> int:
    """Return which value is the median: of an even number the lower of the two in the middle.

    >>> middle([0.5, 0.1, 0.3, 0.9])
    2
    """
    return sorted(range(len(values)), key=lambda place: (values[place], place))[(len(values) - 1) // 2]
