"""Teach a model by answers that are good or bad by themselves; pairs go their own way (`preference.py`)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from textus import fingerprint, storage
from textus.adaptation.base import Base, open_base
from textus.adaptation.examples import Built, Faults, build, dealt
from textus.adaptation.held_out import example_sums
from textus.adaptation.instruct import side_by_side
from textus.adaptation.job import Adapted, Job
from textus.adaptation.kept import kept_or_made
from textus.adaptation.preference import BETA, PREFERENCE_RATE, preference
from textus.adaptation.settings import PreferenceSettings
from textus.adaptation.tune import RECORD, Tuning, training_table
from textus.checkpoint import checkpoint
from textus.dataset.examples import Gathered
from textus.dataset.judged import Judged, is_judged, judged
from textus.dataset.packing import Packed
from textus.dataset.records import read
from textus.errors import ConfigError, CorpusError, InputError, TokenizerError
from textus.model.transformer import Transformer
from textus.objectives.unpaired import Marked, Unpaired
from textus.report import Report, Score, Section, Table
from textus.training import machine


def prefer(job: Job) -> Adapted:
    """Adapt the model of a job by pairs of answers, or by answers with a label, whichever the first record is."""
    first = next((record for path in job.data for record in read(path)), None)
    if first is None or not is_judged(first):
        return preference(job)
    settings: PreferenceSettings = job.settings
    if settings.loss != "kto":
        raise ConfigError(
            f"{first.place}: an answer with a label, and loss={settings.loss} learns from pairs of answers",
            hint="set loss=kto, or give records with `chosen` and `rejected`",
        )
    return unpaired(job)


def unpaired(job: Job) -> Adapted:
    """Adapt the model of a job by answers with a label."""
    settings: PreferenceSettings = job.settings
    device = machine.look(settings.training).device
    base = open_base(job.checkpoint, settings.template, device)
    built = build(job, base, settings.data, ["unpaired"], lambda parts: _deal(job, base, settings, parts))
    context, seed = base.opened.config.context_length, settings.training.seed
    training = Packed(built.part("train"), context, seed, together=2)
    validation = Packed(built.part("validation"), context, seed, together=2, ordered=True)
    at_first = kept_or_made(
        job.directory / "reference.json",
        fingerprint.of_value([built.key, base.fingerprint]),
        lambda: {"train": _said(base.opened.model, training), "validation": _said(base.opened.model, validation)},
    )
    known = {
        name: Marked(np.asarray(one.split.offsets), np.array(at_first[name]), np.array(built.facts["good"][name]))
        for name, one in (("train", training), ("validation", validation))
    }
    tuning = Tuning(
        job=job,
        base=base,
        training=training,
        validation=validation,
        objective=Unpaired(
            BETA["kto"] if settings.beta == "auto" else settings.beta,
            settings.good_weight,
            settings.bad_weight,
            training=known["train"],
            measured=known["validation"],
        ),
        epochs=settings.epochs,
        config=settings.training,
        lora=settings.lora,
        sampling=settings.sampling,
        rate=PREFERENCE_RATE,
    )
    run = tuning.run()
    tuning.finish(run)
    after = kept_or_made(
        job.directory / "after.json",
        fingerprint.of_value([run.model_key, built.key]),
        lambda: {"sums": _said(checkpoint.load(job.directory, device).model, validation)},
    )
    sums = np.array(at_first["validation"])
    before, now = (scores(one, sums, known["validation"].good, validation) for one in (sums, np.array(after["sums"])))
    return _told(job, built, storage.read_json(job.directory / RECORD), before, now)


def _said(model: Transformer, packed: Packed) -> list[float]:
    found: list[float] = example_sums(model, packed)[0].tolist()
    return found


@dataclass
class _Counts:
    """What became of the answers."""

    answers: int = 0
    good_answers: int = 0
    held_out: int = 0
    tokens: int = 0
    cut: int = 0
    """Longer than half of the context: their end is left out."""
    too_long: int = 0
    """Nothing is left of them."""


def _deal(job: Job, base: Base, settings: PreferenceSettings, parts: dict[str, Gathered]) -> dict[str, Any]:
    """Write all answers as tokens, each with the one to the next prompt behind it, and deal them out."""
    counts, faults, room = _Counts(), Faults(), (base.opened.config.context_length + 1) // 2
    held: dict[str, list[Judged]] = {part: [] for part in parts}
    with job.progress.task("answers", 0, "answers") as task:
        for part, found in dealt(job, settings.data, judged, faults):
            task.advance(1)
            if not any(_written(base, found, found.answer, room)[1][1:]):
                counts.too_long += 1
                continue
            held[part].append(found)
    good: dict[str, list[bool]] = {}
    for part, answers in held.items():
        good[part] = []
        for number, found in enumerate(answers):
            other = answers[(number + 1) % len(answers)]
            for answer in (found.answer, other.answer):
                tokens, asked = _written(base, found, answer, room + 1)
                counts.cut += len(tokens) > room
                parts[part].add(tokens[:room], asked[:room])
                counts.tokens += min(len(tokens), room)
            good[part].append(found.good)
            counts.answers += 1
            counts.good_answers += found.good
            counts.held_out += part == "validation"
    if not counts.answers or counts.good_answers in (0, counts.answers):
        why = "no answer to learn from" if not counts.answers else "all answers have the same label"
        raise CorpusError(
            f"{', '.join(map(str, job.data))}: {why}",
            hint="give good and bad answers, and prompts that leave room for them in half of the context",
        )
    return {"together": 2, **asdict(counts), "faulty": str(faults), "good": good}


def _written(base: Base, found: Judged, answer: str, room: int) -> tuple[list[int], list[bool]]:
    try:
        tokens, asked = base.turns.encode(found.conversation(answer), "last")
    except TokenizerError as error:
        raise InputError(f"{found.place}: {error.message}", hint=error.hint) from None
    return tokens[:room], asked[:room]


def scores(sums: np.ndarray, reference: np.ndarray, good: np.ndarray, answers: Packed) -> tuple[Score, ...]:
    """Return what a model makes of held-out answers, from the log-probabilities of it and of the reference.

    `told_apart` is the share of pairs of a good and a bad answer of which the good one has gained more (AUC), with the
    standard error of DeLong et al. 1988.
    """
    gain = (sums - reference)[0::2]
    up, down = gain[good], gain[~good]
    wins = (np.sign(up[:, None] - down[None, :]) + 1) / 2
    share, error = math.nan, 0.0
    if len(up) and len(down):
        share = float(wins.mean())
        error = math.sqrt(sum(_error(wins.mean(axis)) ** 2 for axis in (0, 1)))
    rows = {
        "told_apart": (share, error, "share of pairs"),
        "good_gain": (*_mean(up), "nats"),
        "bad_gain": (*_mean(down), "nats"),
    }
    split = answers.split
    return tuple(
        Score(name, value, spread, unit, split.tokenizer_fingerprint, split.data_fingerprint)
        for name, (value, spread, unit) in rows.items()
    )


def _mean(values: np.ndarray) -> tuple[float, float]:
    return (float(values.mean()), _error(values)) if len(values) else (math.nan, 0.0)


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def _told(
    job: Job, built: Built, record: Mapping[str, Any], before: Sequence[Score], after: tuple[Score, ...]
) -> Adapted:
    """Set before and after side by side."""
    facts = built.facts
    data = {
        "answers": facts["answers"],
        "of them good": facts["good_answers"],
        "of them held out": facts["held_out"],
        "cut at half the context": facts["cut"],
        "left out, too long": facts["too_long"],
        "left out, faulty": facts["faulty"],
    }
    old, new = ([score.as_dict() for score in found] for found in (before, after))
    sections: list[tuple[str, Section]] = [
        ("Held-out answers, before and after", side_by_side(old, new)),
        ("Answers", Table.of(data)),
        ("Training", training_table(record)),
    ]
    told = {
        "before": old,
        "examples": {name: value for name, value in facts.items() if name != "good"},
        "training": {name: value for name, value in record.items() if name != "identity"},
    }
    report = Report(f"{job.directory.name}: preference", tuple(sections))
    return Adapted(job.directory, "preference", after, report, told)
