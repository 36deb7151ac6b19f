"""Teach a model to say what is harmful in a text: learn, calibrate, choose thresholds, measure beside words."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from textus import fingerprint, storage
from textus.adaptation.encode import fitting, text_tokens
from textus.adaptation.heads import left_out_words, pooling_of, reading_of
from textus.adaptation.job import Adapted, Job
from textus.adaptation.outcome import RESULT, Outcome, Row, kept, key_of
from textus.adaptation.trials import Lesson, Start, Trial, look
from textus.checkpoint.checkpoint import KIND, PROVENANCE, write_model
from textus.dataset.labelled import Data, Examples
from textus.model.headed import Headed, TaskConfig
from textus.objectives.labelled import Moderate
from textus.report import Report, Section, Table
from textus.safety import calibration, worth
from textus.safety.examples import Judged
from textus.safety.lexical import Lexical, learn
from textus.safety.network import THRESHOLDS, Network
from textus.safety.settings import ModerateSettings
from textus.safety.sides import Sides
from textus.safety.taxonomy import HARMS
from textus.training.keep import METRICS


def moderate(job: Job) -> Adapted:
    """Adapt a model to score texts by the categories that the user's examples tell of."""
    settings: ModerateSettings = job.settings
    sides, start = Sides.of(job), Start.open(job.checkpoint)
    data = fingerprint.of_value([[(one.text, dict(one.known)) for one in part] for part in sides.parts])
    key = key_of(job, data, start.fingerprint)
    if (done := kept(job, key)) is not None:
        return _adapted(done, job)
    lesson = _lesson(job, sides, start, data)
    chosen, seeds, tried = lesson.chosen()
    judge, divisors = _calibrated(chosen.model(lesson.machine.device), start, sides)
    floor = _floor(sides)
    limits = worth.limits_of(judge.logits, sides, settings.false_alarms)
    judge.thresholds = dict(zip(sides.categories, limits, strict=True))
    measured = worth.measured(judge.logits, sides, limits, divisors)
    beside = worth.measured(floor, sides, worth.limits_of(floor, sides, settings.false_alarms))
    rows = [Row.of("this model", [measured.means], 1)]
    if settings.random_init:
        other, by = _calibrated(lesson.from_scratch(1)[0].model(lesson.machine.device), start, sides)
        from_random = worth.measured(other.logits, sides, limits, by)
        rows.append(Row.of("from random weights", [from_random.means], 1))
    rows.append(Row.of("words (the floor)", [beside.means], 0))
    facts = {
        "examples": dict(zip(("train", "choice", "calibration", "test"), map(len, sides.parts), strict=True)),
        "left_out": sides.leaked,
        "categories": worth.as_lines(measured, beside),
        "thresholds": judge.thresholds,
        "temperatures": dict(zip(sides.categories, divisors, strict=True)),
        "mlcommons": {name: list(HARMS[name]) for name in sides.categories if name in HARMS},
        "false_alarms": settings.false_alarms,
        "learning_rate": chosen.rate,
        "epoch": chosen.epoch,
        "seed": chosen.seed,
        "learning_rates": [trial.as_dict() for trial in tried],
        "trials": [trial.as_dict() for trial in seeds],
    }
    notes = (*worth.notes(sides, settings, chosen, measured), *left_out_words(sides.leaked))
    found = Outcome("moderate", tuple(rows), notes, facts, start.opened.tokenizer.fingerprint, data)
    _publish(lesson, key, chosen, judge, found)
    return _adapted(found, job)


def _lesson(job: Job, sides: Sides, start: Start, data: str) -> Lesson:
    """Return what all trials share."""
    settings: ModerateSettings = job.settings
    config, tokenizer = start.opened.config, start.opened.tokenizer
    task = TaskConfig(
        "classify",
        sides.categories,
        several=True,
        pooling=pooling_of(config, settings.pooling),
        reading=reading_of(config),
    )

    def rows(part: Sequence[Judged]) -> tuple[list[list[int]], list[list[int]]]:
        too_long = settings.data.too_long
        tokens = [text_tokens(tokenizer, one.text) for one in part]
        fits = [fitting(row, config.context_length, one.place, too_long) for row, one in zip(tokens, part, strict=True)]
        return fits, sides.known(part).tolist()

    train, named = rows(sides.train), Data(data, tokenizer.fingerprint)
    return Lesson(
        job=job,
        start=start,
        task=task,
        objective=Moderate(task.reading),
        tuning=settings.training,
        training=lambda seed, batch: Examples(*train, named, seed=seed, batch=batch),
        choice=Examples(*rows(sides.choice), named, ordered=True),
        count=len(sides.train),
        machine=look(settings.training),
    )


def _calibrated(model: Headed, start: Start, sides: Sides) -> tuple[Network, list[float]]:
    """Divide the logits of a model by their temperatures; return it and these."""
    judge = Network(model, start.opened.tokenizer)
    raw = judge.logits([one.text for one in sides.calibration])
    divisors = calibration.temperatures(raw, sides.known(sides.calibration))
    calibration.calibrate(model, divisors)
    return judge, divisors


def _floor(sides: Sides) -> worth.Scorer:
    """Teach a classifier of words the same examples."""
    texts = [one.text for one in sides.train]
    labels = {name: [one.known.get(name) for one in sides.train] for name in sides.categories}
    learnt: Lexical = learn(texts, labels)
    return learnt.margins


def _publish(lesson: Lesson, key: str, trial: Trial, judge: Network, found: Outcome) -> None:
    """Put the calibrated model in the place of the adaptation's, with its figures and thresholds; drop the trials."""
    directory = lesson.job.directory
    facts = {"error": trial.error, "epoch": trial.epoch, "learning_rate": trial.rate, "seed": trial.seed}
    provenance = storage.read_json(trial.directory / PROVENANCE)
    with storage.refusals(directory), storage.published(directory, KIND, key, facts) as partial:
        write_model(partial, judge.model, judge.tokenizer, provenance)
        shutil.copyfile(trial.directory / METRICS, partial / METRICS)
        names = ("thresholds", "false_alarms", "temperatures", "mlcommons")
        storage.write_json(partial / THRESHOLDS, {name: found.facts[name] for name in names})
        storage.write_json(partial / RESULT, found.as_dict())
    lesson.discard()


def _adapted(found: Outcome, job: Job) -> Adapted:
    """Return the outcome as the verb does, with a table of the categories in its report."""
    made = found.adapted(job)
    lines: list[dict[str, Any]] = list(found.facts["categories"])
    table: tuple[str, Section] = ("Category by category", Table(worth.HEADER, tuple(map(worth.cells, lines))))
    first, *others = made.report.sections
    return replace(made, report=Report(made.report.title, (first, table, *others)))
