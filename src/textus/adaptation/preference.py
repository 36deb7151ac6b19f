"""Teach a model which of two answers is the better one."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
from textus.adaptation.settings import PreferenceSettings
from textus.adaptation.tune import RECORD, Tuning, training_table
from textus.checkpoint import checkpoint
from textus.dataset.examples import Gathered
from textus.dataset.packing import Packed
from textus.dataset.preferences import preference as read_preference
from textus.errors import CorpusError, InputError, TokenizerError
from textus.objectives import preference as objective
from textus.objectives.preference import NEEDS_REFERENCE, References
from textus.report import Report, Score, Section, Table
from textus.training import machine

BETA = {"dpo": 0.1, "ipo": 0.1, "kto": 0.1, "simpo": 2.0, "orpo": 0.1}
PREFERENCE_RATE = 0.1
"""What is left of the rate for instructions: answers that the model gives already are only to be weighed anew."""


def preference(job: Job) -> Adapted:
    """Adapt the model of a job by pairs of answers."""
    settings: PreferenceSettings = job.settings
    device = machine.look(settings.training).device
    base = open_base(job.checkpoint, settings.template, device)
    built = build(job, base, settings.data, ["preference"], lambda parts: _deal(job, base, settings, parts))
    context, seed = base.opened.config.context_length, settings.training.seed
    training = Packed(built.part("train"), context, seed, together=2)
    validation = Packed(built.part("validation"), context, seed, together=2, ordered=True)
    reference = _reference(job, base, built, training, validation, settings)
    asked = objective.Preference(
        settings.loss,
        BETA[settings.loss] if settings.beta == "auto" else settings.beta,
        settings.margin,
        settings.smoothing,
        training=reference["train"],
        measured=reference["validation"],
    )
    tuning = Tuning(
        job=job,
        base=base,
        training=training,
        validation=validation,
        objective=asked,
        epochs=settings.epochs,
        config=settings.training,
        lora=settings.lora,
        sampling=settings.sampling,
        rate=PREFERENCE_RATE,
    )
    sums, counts = _held_out(job, base, validation)
    before = scores(sums, sums, counts, validation)
    run = tuning.run()
    tuning.finish(run)
    found = kept_or_made(
        job.directory / "after.json",
        fingerprint.of_value([run.model_key, built.key]),
        lambda: {"sums": example_sums(checkpoint.load(job.directory, device).model, validation)[0].tolist()},
    )
    after = scores(np.array(found["sums"]), sums, counts, validation)
    return _told(job, built, storage.read_json(job.directory / RECORD), before, after)


@dataclass
class _Counts:
    """What became of the pairs."""

    pairs: int = 0
    held_out: int = 0
    tokens: int = 0
    chosen_tokens: int = 0
    rejected_tokens: int = 0
    longer_chosen: int = 0
    cut: int = 0
    """Longer than half of the context: the end of an answer is left out."""
    too_long: int = 0
    """Nothing is left of an answer, or of what the two differ in."""


def _deal(job: Job, base: Base, settings: PreferenceSettings, parts: dict[str, Gathered]) -> dict[str, Any]:
    """Write all pairs as tokens, each answer behind its prompt, and deal them out."""
    counts, faults, room = _Counts(), Faults(), (base.opened.config.context_length + 1) // 2
    with job.progress.task("pairs", 0, "pairs") as task:
        for part, found in dealt(job, settings.data, read_preference, faults):
            task.advance(1)
            try:
                both = [base.turns.encode(found.conversation(one), "last") for one in (found.chosen, found.rejected)]
            except TokenizerError as error:
                raise InputError(f"{found.place}: {error.message}", hint=error.hint) from None
            is_cut = any(len(tokens) > room for tokens, _ in both)
            kept = [(tokens[:room], asked[:room]) for tokens, asked in both]
            lengths = [sum(asked[1:]) for _, asked in kept]
            if not all(lengths) or kept[0][0] == kept[1][0]:
                counts.too_long += 1
                continue
            for tokens, asked in kept:
                parts[part].add(tokens, asked)
                counts.tokens += len(tokens)
            counts.pairs += 1
            counts.cut += is_cut
            counts.held_out += part == "validation"
            counts.chosen_tokens += lengths[0]
            counts.rejected_tokens += lengths[1]
            counts.longer_chosen += lengths[0] > lengths[1]
    if not counts.pairs:
        why = f": half the context ({room} tokens) holds no answer of {counts.too_long}" if counts.too_long else ""
        raise CorpusError(
            f"{', '.join(map(str, job.data))}: no pair to learn from{why}",
            hint="give pairs with shorter prompts, or a model with a longer context",
        )
    return {"together": 2, **asdict(counts), "faulty": str(faults)}


def _reference(
    job: Job, base: Base, built: Built, training: Packed, validation: Packed, settings: PreferenceSettings
) -> dict[str, References | None]:
    """Return what the model at the beginning says of all answers; it is asked once."""
    if settings.loss not in NEEDS_REFERENCE:
        return {"train": None, "validation": None}
    told = kept_or_made(
        job.directory / "reference.json",
        fingerprint.of_value([built.key, base.fingerprint]),
        lambda: {"sums": example_sums(base.opened.model, training, "reference", job.progress)[0].tolist()},
    )
    sums, _ = _held_out(job, base, validation)
    return {
        "train": References(np.asarray(training.split.offsets), np.array(told["sums"])),
        "validation": References(np.asarray(validation.split.offsets), sums),
    }


def _held_out(job: Job, base: Base, validation: Packed) -> tuple[np.ndarray, np.ndarray]:
    """Return what the model at the beginning says of the answers that it is measured on."""

    def ask() -> dict[str, Any]:
        sums, counts = example_sums(base.opened.model, validation, progress=job.progress)
        return {"sums": sums.tolist(), "counts": counts.tolist()}

    key = fingerprint.of_value([validation.split.data_fingerprint, base.fingerprint])
    found = kept_or_made(job.directory / "before.json", key, ask)
    return np.array(found["sums"]), np.array(found["counts"])


def scores(sums: np.ndarray, reference: np.ndarray, counts: np.ndarray, pairs: Packed) -> tuple[Score, ...]:
    """Return what a model makes of held-out pairs, from the summed log-probabilities of it and of the reference.

    A pair is won where the chosen answer has gained more than the rejected one; a tie is half a win.
    """
    gain = (sums - reference).reshape(-1, 2)
    means = (sums / counts).reshape(-1, 2)
    margin, likelier = gain[:, 0] - gain[:, 1], means[:, 0] - means[:, 1]
    rows = {
        "win_rate": ((np.sign(margin) + 1) / 2, "share of pairs"),
        "reward_margin": (margin, "nats"),
        "likelier_chosen": ((np.sign(likelier) + 1) / 2, "share of pairs"),
        "chosen_logprob": (means[:, 0], "nats per token"),
        "rejected_logprob": (means[:, 1], "nats per token"),
    }
    split = pairs.split
    return tuple(
        Score(name, float(values.mean()), _error(values), unit, split.tokenizer_fingerprint, split.data_fingerprint)
        for name, (values, unit) in rows.items()
    )


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def _told(
    job: Job, built: Built, record: Mapping[str, Any], before: tuple[Score, ...], after: tuple[Score, ...]
) -> Adapted:
    """Set before and after side by side."""
    facts = built.facts
    pairs = facts["pairs"]
    data = {
        "pairs": pairs,
        "of them held out": facts["held_out"],
        "tokens of a chosen answer": facts["chosen_tokens"] / pairs,
        "tokens of a rejected answer": facts["rejected_tokens"] / pairs,
        "the chosen one is longer": f"{facts['longer_chosen'] / pairs:.1%}",
        "cut at half the context": facts["cut"],
        "left out, too long": facts["too_long"],
        "left out, faulty": facts["faulty"],
    }
    old, new = ([score.as_dict() for score in found] for found in (before, after))
    sections: list[tuple[str, Section]] = [
        ("Held-out pairs, before and after", side_by_side(old, new)),
        ("Pairs", Table.of(data)),
        ("Training", training_table(record)),
    ]
    told = {
        "before": old,
        "examples": dict(facts),
        "training": {name: value for name, value in record.items() if name != "identity"},
    }
    report = Report(f"{job.directory.name}: preference", tuple(sections))
    return Adapted(job.directory, "preference", after, report, told)
