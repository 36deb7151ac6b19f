"""Texts in, a measured model that writes out."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from textus import config as settings_module
from textus import storage
from textus.checkpoint.checkpoint import GENERATION, KIND, generation_config, load_weights, write_model
from textus.checkpoint.provenance import provenance
from textus.dataset.pack import Windows
from textus.errors import TextusError
from textus.model.leak import check_leaks
from textus.model.transformer import Transformer
from textus.objectives import table as objectives
from textus.progress import SILENT, Progress
from textus.report import Report, Score, Shown
from textus.training import machine
from textus.training.crew import chosen
from textus.training.distributed import Ranks, joined
from textus.training.identity import differences, named
from textus.training.loop import TrainState
from textus.training.plan import Plan
from textus.training.presets import asking
from textus.training.run import Run
from textus.verbs import measures
from textus.verbs.lock import locked
from textus.verbs.mixture import training_windows
from textus.verbs.plan import planned
from textus.verbs.settings import FILE, RunSettings, resolve
from textus.verbs.stages import Made, Stages
from textus.verbs.summary import summary

RESULT = "result.json"
RECORD = "training.json"


@dataclass(frozen=True)
class TrainResult(Shown):
    """What a run came to."""

    directory: Path
    parameters: int
    tokens_seen: int
    """Tokens asked in training, repeats included."""
    seconds: float
    """Seconds spent in training steps."""
    peak_memory_bytes: int
    scores: tuple[Score, ...]
    """Measured on the whole validation part."""
    leakage: dict[str, Any]
    """What of the held-out documents stands in training."""
    baselines: dict[str, Any]
    """Bits per byte of compressors and of a smoothed n-gram model on the same text."""
    samples: tuple[str, ...]
    report: Report

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON, the report left out: it has files of its own."""
        return {
            "directory": str(self.directory),
            "parameters": self.parameters,
            "tokens_seen": self.tokens_seen,
            "seconds": self.seconds,
            "peak_memory_bytes": self.peak_memory_bytes,
            "scores": [score.as_dict() for score in self.scores],
            "leakage": self.leakage,
            "baselines": self.baselines,
            "samples": list(self.samples),
        }


def train(
    inputs: str | Path | Sequence[str | Path] = (),
    *,
    out: str | Path = "",
    settings: RunSettings | Mapping[str, Any] = RunSettings(),  # noqa: B008 - frozen
    progress: Progress = SILENT,
    on_plan: Callable[[Plan], None] = lambda plan: None,
) -> TrainResult:
    """Make every stage that is not there yet, train, measure, and leave a model directory with a report.

    The directory opens with `textus.load` and with transformers. A run that was stopped goes on where its last
    checkpoint stands; a run that is finished is opened again, unless its inputs or settings have changed.
    """
    resolved = resolve(inputs, out, settings)
    with joined() as ranks:
        if not ranks.leads:
            return _train(Made(resolved), lambda plan: None, ranks)
        with locked(resolved.directory):
            storage.sweep(resolved.directory)
            return _train(Stages(resolved, progress), on_plan, ranks)


def train_here(settings: RunSettings, progress: Progress = SILENT) -> TrainResult:
    """Do the same in a directory that this process has locked already."""
    storage.write_text(settings.directory / FILE, settings_module.to_toml(settings))
    return _train(Stages(settings, progress), lambda plan: None, Ranks())


def _train(stages: Stages, on_plan: Callable[[Plan], None], ranks: Ranks) -> TrainResult:
    """Make what is not there yet, from the corpus to the report; all but the training is the first process's work."""
    made = ranks.lead(lambda: planned(stages, ranks.world))
    on_plan(made)
    run = prepare(stages, made, ranks)
    if not ranks.first(lambda: _begin(run, stages)):
        learn(run, stages)
    return ranks.lead(lambda: _result(stages, made, run.model_key, writes=ranks.leads))


def _begin(run: Run, stages: Stages) -> bool:
    """Write down what is to be trained, and tell whether it has been already."""
    finished = storage.is_fresh(stages.directory, KIND, run.model_key)
    if not finished:
        run.refuse_other_settings()
    storage.write_text(stages.directory / FILE, settings_module.to_toml(stages.settings))
    if finished:
        run.tidy()
        _renew_sampling(run, stages)
    return finished


def _result(stages: Stages, made: Plan, model_key: str, *, writes: bool) -> TrainResult:
    """Measure the model, where that has not been done, and report on it."""
    state = storage.read_json(stages.directory / RECORD)
    result = measures.kept(stages, model_key)
    if result is None:
        result = measures.measure(stages, model_key)
    report = summary(stages, made, state, result)
    found = TrainResult(
        directory=stages.directory,
        parameters=made.model.num_parameters(),
        tokens_seen=state["tokens"],
        seconds=state["seconds"],
        peak_memory_bytes=state["peak_memory_bytes"],
        scores=result.scores,
        leakage=result.leakage,
        baselines=result.baselines,
        samples=result.samples,
        report=report,
    )
    if writes:
        storage.write_text(stages.directory / "report.html", report.html())
        storage.write_json(stages.directory / "report.json", report.as_dict())
        storage.write_json(stages.directory / RESULT, found.as_dict())
    return found


def prepare(stages: Stages, made: Plan, ranks: Ranks = Ranks()) -> Run:  # noqa: B008 - one process
    """Bring together what the training needs."""
    settings, shards = stages.settings, stages.shards
    context, seed = made.model.context_length, made.recipe.seed
    num_windows = made.recipe.rows_before(made.recipe.steps, context)
    asked = asking(settings.objective, made.tokens)
    objective = objectives.build(asked, stages.tokenizer, num_windows, seed)
    parallel = ranks.first(lambda: chosen(made.recipe, made.memory_bytes, machine.room(made.recipe.device)))
    return Run(
        directory=stages.directory,
        model=Transformer(made.model, seed=seed),
        tokenizer=stages.tokenizer,
        training=training_windows(stages, made),
        validation=Windows(shards.split("validation"), context, objective.prediction_offset, seed, ordered=True),
        objective=objective,
        recipe=replace(made.recipe, parallel=parallel),
        provenance=provenance(
            corpus=stages.corpus.fingerprint,
            tokenizer=stages.tokenizer.fingerprint,
            shards=shards.fingerprint,
            settings={
                "model": dict(vars(made.model)),
                "objective": dict(vars(asked)),
                "training": dict(vars(made.recipe)),
            },
            parent=stages.start.fingerprint if stages.start else "",
        ),
        progress=stages.progress,
        ranks=ranks,
    )


def learn(run: Run, stages: Stages) -> None:
    """Train to the end and put the model in its place."""
    if stages.start:  # a checkpoint, where there is one, takes the place of these
        load_weights(stages.start.directory, run.model)
    run.ranks.first(lambda: _look(run))
    state = run.finish()
    run.ranks.first(lambda: _publish(run, stages, state))


def _look(run: Run) -> None:
    """Say why a finished model is trained anew, and refuse one that sees what it must not."""
    _say_why_anew(run)
    check_leaks(run.model)


def _publish(run: Run, stages: Stages, state: TrainState) -> None:
    """Put the model in its place; the checkpoints go only when it is there."""
    facts = {"step": state.chosen_step, "parameters": run.model.config.num_parameters()}
    with storage.refusals(run.directory), storage.published(run.directory, KIND, run.model_key, facts) as partial:
        write_model(partial, run.model, run.tokenizer, run.provenance, stages.settings.sampling.generation_config())
        storage.write_json(partial / RECORD, _record(run, state))
    run.tidy()


def _renew_sampling(run: Run, stages: Stages) -> None:
    """Seal a finished model anew where nothing has changed but how it writes unless told otherwise."""
    wanted = generation_config(run.tokenizer, stages.settings.sampling.generation_config())
    if storage.read_json(run.directory / GENERATION) == wanted:
        return
    sealed = storage.manifest(run.directory, KIND)
    with storage.published(run.directory, KIND, run.model_key, sealed.facts) as partial:
        for name in sealed.files:
            shutil.copyfile(run.directory / name, partial / name)
        storage.write_json(partial / GENERATION, wanted)


def _say_why_anew(run: Run) -> None:
    """Say what has changed since the model that stands here was trained, if there is one."""
    try:
        storage.manifest(run.directory, KIND)
        old = storage.read_json(run.directory / RECORD)["identity"]
    except (TextusError, KeyError, TypeError):
        return
    what = named(differences(old, _identity(run))) or "its files"
    run.progress.say(f"changed since the model here was trained: {what}; it stays until the new one is finished")


def _identity(run: Run) -> dict[str, Any]:
    return {**run.identity, "training": {**run.identity["training"], "select": run.recipe.select}}


def _record(run: Run, state: TrainState) -> dict[str, Any]:
    return {
        "steps": state.step,
        "tokens": state.tokens,
        "seconds": state.seconds,
        "chosen_step": state.chosen_step,
        "best_step": state.best_step,
        "best_validation_loss": state.best_loss,
        "left_out": sorted(state.left_out),
        "peak_memory_bytes": machine.peak_bytes(run.recipe.device),
        "identity": _identity(run),
    }


__all__ = ["TextusError", "TrainResult", "learn", "prepare", "train"]
