"""From the start of an adaptation with a head to its end: what classifying, tagging and embedding share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from textus.adaptation.config import Beside, Tuning
from textus.adaptation.job import Adapted, Job
from textus.adaptation.measures import Measure
from textus.adaptation.outcome import RESULT, Outcome, Row, kept, key_of
from textus.adaptation.trials import Lesson, Start, Trial, at_edge, publish
from textus.errors import ConfigError
from textus.model.config import ModelConfig
from textus.model.family import TRAITS
from textus.model.headed import Headed
from textus.model.pooling import Pooling

Measures = Mapping[str, Measure]


def reading_of(config: ModelConfig) -> Literal["causal", "bidirectional"]:
    """Return how an adapted model reads: both ways where it was trained to."""
    return "bidirectional" if "bidirectional" in config.readings else "causal"


def pooling_of(config: ModelConfig, asked: Literal["auto", "mean", "cls", "last"]) -> Pooling:
    """Return which states tell of a text that is classified; raise `ConfigError` for those that transformers cannot."""
    can: tuple[Pooling, ...] = ("mean", "cls") if TRAITS[config.family].is_encoder else ("last",)
    if asked == "auto":
        return can[0]
    if asked not in can:
        raise ConfigError(
            f"pooling={asked}: transformers classifies texts by {' or '.join(can)} with a model of this shape",
            hint=f"set pooling={can[0]}, or leave it out",
        )
    return asked


def finished(job: Job, data: str, start: Start) -> Adapted | None:
    """Return what is there already of the same examples, settings and model."""
    found = kept(job, key_of(job, data, start.fingerprint))
    return found.adapted(job) if found is not None else None


def concluded(
    lesson: Lesson,
    data: str,
    measure: Callable[[Headed], Measures],
    beside: Beside,
    others: Sequence[Row],
    notes: Sequence[str],
    facts: Mapping[str, Any],
) -> Adapted:
    """Run all trials, measure them, put the chosen model in its place, and say what it is worth beside the `others`."""
    job, start = lesson.job, lesson.start
    device = lesson.machine.device
    chosen, seeds, tried = lesson.chosen()
    reached = {trial.directory: measure(trial.model(device)) for trial in seeds}
    rows = [Row.of("this model", [reached[chosen.directory]], 1)]
    if len(seeds) > 1:
        rows.append(Row.of(f"{len(seeds)} seeds, the median", [reached[trial.directory] for trial in seeds]))
    if beside.random_init:
        scratch = lesson.from_scratch(beside.random_seeds)
        rows.append(Row.of("from random weights", [measure(trial.model(device)) for trial in scratch]))
    told = {
        **facts,
        "learning_rate": chosen.rate,
        "epoch": chosen.epoch,
        "seed": chosen.seed,
        "learning_rates": [trial.as_dict() for trial in tried],
        "trials": [trial.as_dict() for trial in seeds],
    }
    found = Outcome(
        lesson.task.task,
        (*rows, *others),
        (_chosen_words(lesson.tuning, chosen, tried), *notes),
        told,
        start.opened.tokenizer.fingerprint,
        data,
    )
    publish(lesson, key_of(job, data, start.fingerprint), chosen, RESULT, found.as_dict())
    return found.adapted(job)


def _chosen_words(tuning: Tuning, chosen: Trial, tried: Sequence[Trial]) -> str:
    rates = ", ".join(f"{trial.rate:g} ({trial.error:.4g})" for trial in tried)
    return (
        f"The model was trained at learning rate {chosen.rate:g} with seed {chosen.seed}, and its weights are those "
        f"after epoch {chosen.epoch:g} of {tuning.epochs}. Rate, epoch and seed were chosen by what went wrong on "
        f"examples cut from training, and never by those that measure: {rates} at the rates tried. Each ± is one "
        "standard error over the examples that measure; the spread over seeds stands beside it." + _edge_words(tried)
    )


def _edge_words(tried: Sequence[Trial]) -> str:
    edge = at_edge(tried)
    if edge == "inside":
        return ""
    beyond = "higher" if edge == "highest" else "lower"
    return f" The best rate is the {edge} of those tried: set training.learning_rates to {beyond} ones as well."


def left_out_words(count: int) -> tuple[str, ...]:
    """Say that training examples were left out because test examples repeat them, where there were any."""
    if not count:
        return ()
    return (f"{count} training examples were left out: the examples that measure hold the same texts.",)
