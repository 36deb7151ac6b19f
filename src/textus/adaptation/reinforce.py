"""Teach a model by what its own answers are worth: a group answers each prompt, and the better ones become likelier."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from textus import fingerprint, storage
from textus.adaptation import lora
from textus.adaptation.base import Base, open_base
from textus.adaptation.examples import Built, Faults, build, dealt
from textus.adaptation.held_out import mean_and_error
from textus.adaptation.instruct import side_by_side
from textus.adaptation.job import Adapted, Job
from textus.adaptation.kept import kept_or_made
from textus.adaptation.rewards import BUILT_IN, Reward, judged, needed, nothing_told_apart, reward_named
from textus.adaptation.rollouts import REWARDS, Answer, Rollouts, Said, best_answers
from textus.adaptation.settings import GrpoSettings
from textus.adaptation.tune import RECORD, Tuning, training_table
from textus.checkpoint import checkpoint
from textus.checkpoint.checkpoint import Checkpoint
from textus.dataset.conversations import Message, hashed, message, said
from textus.dataset.examples import Gathered
from textus.dataset.prompts import Prompts
from textus.dataset.records import Record
from textus.errors import ConfigError, CorpusError, InputError
from textus.model.adapter import hear
from textus.model.transformer import Transformer
from textus.objectives.logprobs import label_logprobs
from textus.objectives.objective import Batch
from textus.objectives.reinforcement import Reinforcement
from textus.report import Chart, Prose, Report, Score, Section, Table
from textus.training import machine
from textus.training.config import TrainConfig

SHAPES = '{"prompt": "What is 2 + 3?", "answer": "5"}'
_SHOWN = 3
_ANSWERS_ON_A_GPU = 64
"""So many answers are learnt from at once, at most."""


def grpo(job: Job) -> Adapted:
    """Adapt the model of a job by rewards."""
    settings: GrpoSettings = job.settings
    reward = reward_named(settings.reward)
    device = machine.look(settings.training).device
    base = open_base(job.checkpoint, settings.template, device)
    built = build(
        job,
        base,
        settings.data,
        ["grpo", settings.reward, settings.answer_tokens],
        lambda parts: _deal(job, base, settings, parts),
    )
    context, seed = base.opened.config.context_length, settings.training.seed
    training = Prompts(built.part("train"), context, seed, rows_per_step=settings.prompts, times=settings.iterations)
    validation = Prompts(built.part("validation"), context, seed, ordered=True)
    judge = _Judge(reward, settings, base, built, validation)
    objective = _objective(job, base, settings, training, judge)
    tuning = Tuning(
        job=job,
        base=base,
        training=training,
        validation=validation,
        objective=objective,
        epochs=settings.epochs * settings.iterations,
        config=_config(settings, context, device),
        lora=settings.lora,
        sampling=settings.sampling,
    )
    before = kept_or_made(
        job.directory / "before.json",
        fingerprint.of_value([base.fingerprint, built.key, settings.answers]),
        lambda: judge.measured(base.opened),
    )
    run = tuning.run()
    tuning.finish(run)
    after = kept_or_made(
        job.directory / "after.json",
        fingerprint.of_value([run.model_key, built.key, settings.answers]),
        lambda: judge.measured(checkpoint.load(job.directory, device)),
    )
    return _told(job, built, settings, before, after)


@dataclass(frozen=True)
class _Prompt:
    """A prompt, with all that its record says."""

    messages: tuple[Message, ...]
    values: Mapping[str, Any]
    place: str

    @property
    def id(self) -> str:
        """Hash the prompt: equal ones belong on one side of a split."""
        return hashed(self.messages)


def _prompt(record: Record, keys: Sequence[str]) -> _Prompt:
    """Return the prompt of a record: a text, or the turns before the answer."""
    place, values = record.place, record.values
    asked = values.get("prompt", values.get("question", values.get("messages")))
    if isinstance(asked, str) and asked.strip():
        messages = [said("user", asked)]
    elif isinstance(asked, list) and asked:
        messages = [message(place, number, turn) for number, turn in enumerate(asked, 1)]
    else:
        raise InputError(f"{place}: no prompt in it", hint=f"as in {SHAPES}")
    if isinstance(system := values.get("system"), str) and system.strip():
        messages = [said("system", system), *messages]
    if messages[-1]["role"] != "user":
        raise InputError(
            f"{place}: the last message is of `{messages[-1]['role']}`",
            hint="the answer is the model's: end with `user`",
        )
    if missing := [key for key in keys if key not in values]:
        raise InputError(f"{place}: no `{missing[0]}`, by which an answer is judged", hint=f"as in {SHAPES}")
    return _Prompt(tuple(messages), values, place)


@dataclass
class _Counts:
    """What became of the prompts."""

    prompts: int = 0
    held_out: int = 0
    tokens: int = 0
    too_long: int = 0
    """They leave no room for an answer."""


def _deal(job: Job, base: Base, settings: GrpoSettings, parts: dict[str, Gathered]) -> dict[str, Any]:
    """Write all prompts as tokens and deal them out; their records are kept for who judges the answers."""
    counts, faults = _Counts(), Faults()
    room, keys = base.opened.config.context_length - settings.answer_tokens, needed(settings.reward)
    records: dict[str, list[dict[str, Any]]] = {part: [] for part in parts}
    with job.progress.task("prompts", 0, "prompts") as task:
        for part, found in dealt(job, settings.data, lambda record: _prompt(record, keys), faults):
            task.advance(1)
            tokens = base.turns.prompt(found.messages)
            if len(tokens) > room:
                counts.too_long += 1
                continue
            parts[part].add(tokens, [False] * len(tokens))
            records[part].append({"place": found.place, "values": dict(found.values)})
            counts.prompts += 1
            counts.tokens += len(tokens)
            counts.held_out += part == "validation"
    if not counts.prompts:
        why = f": {counts.too_long} leave no room for {settings.answer_tokens} tokens" if counts.too_long else ""
        raise CorpusError(
            f"{', '.join(map(str, job.data))}: no prompt to answer{why}",
            hint="give shorter prompts, a smaller answer_tokens, or a model with a longer context",
        )
    return {**asdict(counts), "faulty": str(faults), "records": records}


def _config(settings: GrpoSettings, context: int, device: str) -> TrainConfig:
    """Say how many rows a step has, where a row is a prompt and all that is written for it."""
    asked = settings.training
    if asked.batch_tokens != "auto" or asked.batch_ramp:
        raise ConfigError(
            "training.batch_tokens and training.batch_ramp say nothing about prompts",
            hint="`prompts` is how many a step has, `group` how many answers each",
        )
    at_once = settings.prompts if device == "cpu" else max(1, _ANSWERS_ON_A_GPU // settings.group)
    changes: dict[str, Any] = {"batch_tokens": settings.prompts * context}
    if asked.micro_batch_tokens == "auto":
        changes["micro_batch_tokens"] = min(at_once, settings.prompts) * context
    if asked.optimizer == "auto":
        changes["optimizer"] = "adamw"  # the direction of so noisy a gradient is not worth making orthogonal
    return replace(asked, **changes)


def _objective(job: Job, base: Base, settings: GrpoSettings, training: Prompts, judge: _Judge) -> Reinforcement:
    file = settings.reward.rpartition(":")[0]
    mark = f" {fingerprint.of_file(Path(file))}" if file.endswith(".py") else ""
    values: dict[str, Any] = {
        "kind": settings.loss,
        "group": settings.group,
        "clip": settings.clip,
        "beta": settings.beta,
        "temperature": settings.temperature,
        "most_tokens": settings.answer_tokens,
        "reward": f"{settings.reward}{mark}",
        "iterations": settings.iterations,
    }
    config = settings.training
    every = 1000 if config.checkpoint_every == "auto" else config.checkpoint_every
    write = Rollouts(
        tokenizer=base.opened.tokenizer,
        prompts=training,
        end=base.turns.end,
        asked=Reinforcement(**values),
        worth=lambda example, text: judge.worth("train", example, text),
        reference=_reference(base, settings),
        directory=job.directory,
        seed=config.seed,
        say=job.progress.say,
        kept=2 + (config.keep_last + 1) * every if settings.iterations > 1 else 2,
    )
    return Reinforcement(**values, write=write, judge=judge)


def _reference(base: Base, settings: GrpoSettings) -> Said | None:
    """Return what says how likely the model at the beginning finds an answer; None where that costs nothing."""
    if not settings.beta:
        return None
    if settings.lora.rank and not base.new_tokens:

        def without_adapter(model: Transformer, batch: Batch) -> Tensor:
            hear(model, "")
            try:
                return label_logprobs(model, batch, settings.temperature)
            finally:
                hear(model, lora.MINE)

        return without_adapter
    first = copy.deepcopy(base.opened.model).float().eval().requires_grad_(False)
    return lambda model, batch: label_logprobs(first, batch, settings.temperature)


@dataclass(frozen=True)
class _Judge:
    """Judges answers by the records that their prompts are from."""

    reward: Reward
    settings: GrpoSettings
    base: Base
    built: Built
    validation: Prompts

    def worth(self, part: str, example: int, text: str) -> float:
        """Return the reward of an answer."""
        record = self.built.facts["records"][part][example]
        return judged(self.reward, self.settings.reward, text, record["values"], record["place"])

    def __call__(self, model: Transformer, numbers: tuple[int, ...]) -> list[float]:
        """Return the rewards of the likeliest answers to held-out prompts."""
        answers = self.answers(model, numbers)
        return [
            self.worth("validation", self.validation.example(number), answer.text)
            for number, answer in zip(numbers, answers, strict=True)
        ]

    def answers(self, model: Transformer, numbers: Sequence[int]) -> list[Answer]:
        """Answer held-out prompts."""
        prompts = [self.validation.tokens(number) for number in numbers]
        return best_answers(
            model, self.base.opened.tokenizer, prompts, self.settings.answer_tokens, self.base.turns.end
        )

    def measured(self, opened: Checkpoint) -> dict[str, Any]:
        """Measure a model by its answers to held-out prompts."""
        numbers = range(min(self.settings.answers, self.validation.per_epoch))
        answers = self.answers(opened.model, numbers)
        worth = [self.worth("validation", number, answer.text) for number, answer in zip(numbers, answers, strict=True)]
        split = self.validation.split
        name = "accuracy" if self.settings.reward in BUILT_IN else "reward"
        rows = {
            name: (worth, "share of answers" if name == "accuracy" else "mean reward"),
            "end_rate": ([float(answer.ended) for answer in answers], "share of answers"),
            "answer_tokens": ([float(len(answer.tokens)) for answer in answers], "tokens"),
        }
        scores = [
            Score(score, *mean_and_error(values), unit, split.tokenizer_fingerprint, split.data_fingerprint)
            for score, (values, unit) in rows.items()
        ]
        return {"scores": [score.as_dict() for score in scores], "answers": [one.text for one in answers[:_SHOWN]]}


def _told(
    job: Job, built: Built, settings: GrpoSettings, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Adapted:
    """Set before and after side by side."""
    facts, record = built.facts, storage.read_json(job.directory / RECORD)
    path = job.directory / REWARDS
    rounds = storage.read_json(path) if path.is_file() else {}
    told_apart = float(np.mean([one["told_apart"] for one in rounds.values()])) if rounds else 0.0
    data = {
        "prompts": facts["prompts"],
        "of them held out": facts["held_out"],
        "answers to each, in a step": settings.group,
        "groups whose answers differ in reward": f"{told_apart:.1%}",
        "left out, no room for an answer": facts["too_long"],
        "left out, faulty": facts["faulty"],
    }
    line = [(float(number), one["reward"]) for number, one in sorted((int(key), one) for key, one in rounds.items())]
    sections: list[tuple[str, Section]] = [
        ("Held-out prompts, before and after", side_by_side(before["scores"], after["scores"])),
        ("Prompts", Table.of(data)),
        ("Reward of the answers learnt from", Chart("Reward", "round", "mean reward", {"reward": line})),
        ("Training", training_table(record)),
    ]
    if rounds and not told_apart:
        mean = float(np.mean([one["reward"] for one in rounds.values()]))
        sections.insert(0, ("Nothing was learnt", Prose(nothing_told_apart(len(rounds), mean))))
    for when, found in (("before", before), ("after", after)):
        sections.append((f"Answers {when}", Prose("\n---\n".join(found["answers"]), verbatim=True)))
    told = {
        "before": before["scores"],
        "examples": {name: value for name, value in facts.items() if name != "records"},
        "rounds": list(dict(sorted(rounds.items())).values()),
        "training": {name: value for name, value in record.items() if name != "identity"},
    }
    scores = tuple(Score(**score) for score in after["scores"])
    return Adapted(job.directory, "grpo", scores, Report(f"{job.directory.name}: grpo", tuple(sections)), told)
