"""What a classifier of harms is worth on the examples that measure, category by category, beside one of words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from textus.adaptation.measures import Measure
from textus.adaptation.trials import Trial
from textus.safety import calibration
from textus.safety.curves import Curve, calibration_error
from textus.safety.examples import SCORED
from textus.safety.settings import ModerateSettings
from textus.safety.sides import Sides

Scorer = Callable[[Sequence[str]], Float[ndarray, "texts labels"]]
"""Texts in, logits out."""
HEADER = (
    *("category", "with", "without", "area", "area of words", "AP", "AP of words"),
    *("found", "found by words", "false alarms", "ECE before", "ECE after"),
)
_FEWEST = 2
"""Texts of either kind without which there is no area and no interval."""


@dataclass(frozen=True)
class Measured:
    """What one way of scoring reaches."""

    curves: tuple[Curve, ...]
    """Of the categories of which there are texts of both kinds."""
    errors: Mapping[str, tuple[float, float]]
    """How far probabilities are off (ECE) before calibration and after, by category."""
    missing: tuple[str, ...]
    """Categories that were learnt and could not be measured."""

    @property
    def means(self) -> dict[str, Measure]:
        """Return means over the categories, with standard errors as if these were independent."""
        found = {}
        for name, kind in (("mean_auroc", "area"), ("mean_ap", "precision")):
            estimates = [getattr(curve, kind) for curve in self.curves]
            errors = [(one.high - one.low) / (2 * 1.959964) for one in estimates]
            value = float(np.mean([one.value for one in estimates])) if estimates else float("nan")
            found[name] = Measure(value, float(np.sqrt(np.square(errors).sum()) / max(1, len(errors))))
        return found


def limits_of(scorer: Scorer, sides: Sides, false_alarms: float) -> list[float]:
    """Return for each category the probability that few enough of the calibrating texts without it reach."""
    chances = calibration.sigmoid(scorer([one.text for one in sides.calibration]))
    return calibration.thresholds(chances, sides.known(sides.calibration), false_alarms)


def measured(scorer: Scorer, sides: Sides, limits: Sequence[float], divisors: Sequence[float] = ()) -> Measured:
    """Measure scores on the test side; `divisors` are the temperatures that are in them already."""
    logits = scorer([one.text for one in sides.test])
    chances, known = calibration.sigmoid(logits), sides.known(sides.test)
    before = calibration.sigmoid(logits * np.asarray(divisors or [1.0] * len(limits), logits.dtype))
    curves, errors, missing = [], {}, []
    for column, name in enumerate(sides.categories):
        rows = known[:, column] >= 0
        truth = known[rows, column] == 1
        if min(truth.sum(), (~truth).sum()) < _FEWEST:
            missing.append(name)
            continue
        scores = chances[rows, column].astype(np.float64)
        curves.append(Curve.of(name, scores, truth, limits[column]))
        raw = before[rows, column].astype(np.float64)
        errors[name] = calibration_error(raw, truth), calibration_error(scores, truth)
    return Measured(tuple(curves), errors, tuple(missing))


def as_lines(ours: Measured, words: Measured) -> list[dict[str, Any]]:
    """Return a JSON-like line for each category, ours beside that of words."""
    lines = []
    for mine, theirs in zip(ours.curves, words.curves, strict=True):
        before, after = ours.errors[mine.category]
        lines.append(
            {
                "category": mine.category,
                "with": mine.true,
                "without": mine.false,
                **{f"auroc{end}": vars(curve.area) for end, curve in (("", mine), ("_words", theirs))},
                **{f"ap{end}": vars(curve.precision) for end, curve in (("", mine), ("_words", theirs))},
                "found": [mine.found.value, *mine.found.interval],
                "found_words": [theirs.found.value, *theirs.found.interval],
                "false_alarms": [mine.alarms.value, *mine.alarms.interval],
                "false_alarms_words": [theirs.alarms.value, *theirs.alarms.interval],
                "ece_before": before,
                "ece_after": after,
            }
        )
    return lines


def cells(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a line for a table."""
    names = ("auroc", "auroc_words", "ap", "ap_words")
    estimates = [_shown(*(line[name][part] for part in ("value", "low", "high"))) for name in names]
    rates = [_shown(*line[name]) for name in ("found", "found_words", "false_alarms")]
    return (
        *(line["category"], line["with"], line["without"], *estimates, *rates),
        *(round(line["ece_before"], 4), round(line["ece_after"], 4)),
    )


def notes(sides: Sides, settings: ModerateSettings, trial: Trial, found: Measured) -> tuple[str, ...]:
    """Say what stands behind the figures."""
    said = [
        f"Trained at learning rate {trial.rate:g} with seed {trial.seed}; the weights are those after epoch "
        f"{trial.epoch:g}. Rate, epoch and seed were chosen by nats on {len(sides.choice)} examples, temperatures and "
        f"thresholds on {len(sides.calibration)} others, all cut from training. A threshold is the score that at most "
        f"{settings.false_alarms:.3g} of those without a category reach. Found and false alarms are shares at that "
        "threshold. Intervals are 95 %: DeLong's of areas, of average precision (AP) by bootstrap, Wilson's of shares; "
        "the ± of a mean takes categories as independent. Words are TF-IDF with logistic regression on the same "
        "examples, with thresholds set in the same way: the floor.",
    ]
    absent = [name for name in SCORED if name not in sides.categories]
    if absent:
        said.append(f"Not learnt, for want of examples with and without: {', '.join(absent)}.")
    if found.missing:
        said.append(f"Learnt and not measured, for want of test examples: {', '.join(found.missing)}.")
    known = sides.known(sides.calibration)
    few = [
        name
        for column, name in enumerate(sides.categories)
        if (known[:, column] == 0).sum() * settings.false_alarms < 1
    ]
    if few:
        said.append(
            f"Fewer than {1 / settings.false_alarms:.0f} calibrating texts are without {', '.join(few)}: the threshold "
            "is above all of them, and its share of false alarms a guess."
        )
    return tuple(said)


def _shown(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
