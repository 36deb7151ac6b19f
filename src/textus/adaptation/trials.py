"""Several runs of the training loop on the same examples: the learning rate is chosen, then seeds are compared.

Each trial is a whole `Run`, with its monitor, checkpoints and exact resume, in a directory of its own. Learning rate
and epoch are chosen by the errors on the examples kept for that; no trial sees the examples that measure.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from textus import fingerprint, storage
from textus.adaptation.config import Tuning
from textus.adaptation.job import Job
from textus.checkpoint.checkpoint import CONFIG, KIND, WEIGHTS, Checkpoint, load, load_model, write_model
from textus.checkpoint.provenance import provenance
from textus.dataset.rows import Rows
from textus.model.headed import Headed, TaskConfig
from textus.model.leak import check_leaks
from textus.objectives.objective import Objective
from textus.training import machine
from textus.training.config import TrainConfig
from textus.training.keep import METRICS
from textus.training.recipe import Recipe
from textus.training.run import Run

TRIALS = "trials"
"""Folder of the trials while there is something to be learnt; only the chosen one's model is kept."""
RATES = (2e-5, 5e-5, 1e-4)
"""Tried where nothing is set, for a model `WIDTH` wide; a narrower one learns at more, in proportion."""
WIDTH = 768
FROM_SCRATCH = 10.0
"""How much higher the rates are for random weights."""
FURTHER = 3
"""Rates that are tried beyond these, at most, while the best one is the highest or the lowest."""
_STRIDE = 2.5


@dataclass(frozen=True)
class Start:
    """The model that is adapted."""

    opened: Checkpoint
    fingerprint: str

    @classmethod
    def open(cls, directory: Path) -> Start:
        """Open a model directory, and prove that it sees what it may see and nothing else."""
        opened = load(directory)
        check_leaks(opened.model)
        files = (directory / name for name in (CONFIG, WEIGHTS))
        return cls(opened, fingerprint.of_parts(fingerprint.of_file(file) for file in files))


@dataclass(frozen=True)
class Trial:
    """One run that is finished."""

    directory: Path
    rate: float
    seed: int
    error: float
    """What it is chosen by, on the examples kept for that: lower is better."""
    epoch: float
    """Whose weights it has kept."""
    seconds: float

    def model(self, device: str) -> Headed:
        """Load its model."""
        found = load_model(self.directory, device)
        assert isinstance(found, Headed)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return what it came to, for JSON."""
        told = {"learning_rate": self.rate, "seed": self.seed, "error": self.error, "epoch": self.epoch}
        return {**told, "seconds": round(self.seconds, 3)}


@dataclass(frozen=True)
class Lesson:
    """What all trials of an adaptation share."""

    job: Job
    start: Start
    task: TaskConfig
    objective: Objective
    tuning: Tuning
    training: Callable[[int, int], Rows]
    """From seed and batch size to the rows that are learnt from."""
    choice: Rows
    """The rows that trials are chosen by."""
    count: int
    """Examples that are learnt from."""
    machine: machine.Machine
    """Where it is learnt."""
    stays_whole: bool = False
    """Whether the examples of a batch are held against each other, so that it cannot be cut."""

    def chosen(self) -> tuple[Trial, tuple[Trial, ...], tuple[Trial, ...]]:
        """Return the best trial, those of all seeds at its learning rate, and those of all learning rates."""
        return self._chosen(self.rates, self.tuning.seeds, "", False)

    def from_scratch(self, seeds: int) -> tuple[Trial, ...]:
        """Return trials of the same network from random weights, with a learning rate of their own."""
        rates = tuple(rate * FROM_SCRATCH for rate in self.rates)
        return self._chosen(rates, seeds, "random-", True)[1]

    @property
    def rates(self) -> tuple[float, ...]:
        """Return the learning rates that are tried."""
        if self.tuning.learning_rates != "auto":
            return self.tuning.learning_rates
        wider = WIDTH / self.start.opened.config.hidden_size
        return tuple(float(f"{rate * wider:.3g}") for rate in RATES)

    def discard(self) -> None:
        """Delete what the trials have left."""
        if (self.job.directory / TRIALS).is_dir():
            shutil.rmtree(self.job.directory / TRIALS)

    def _chosen(
        self, rates: tuple[float, ...], seeds: int, prefix: str, is_random: bool
    ) -> tuple[Trial, tuple[Trial, ...], tuple[Trial, ...]]:
        first = self.tuning.seed
        further = FURTHER if self.tuning.learning_rates == "auto" else 0
        tried = search(rates, lambda rate: self._trial(rate, first, prefix, is_random), further)
        best = min(tried, key=lambda trial: trial.error)
        others = (self._trial(best.rate, seed, prefix, is_random) for seed in range(first + 1, first + seeds))
        all_seeds = (best, *others)
        return min(all_seeds, key=lambda trial: trial.error), all_seeds, tried

    def _trial(self, rate: float, seed: int, prefix: str, is_random: bool) -> Trial:
        """Run one trial to its end, or open it where that has been done."""
        directory = self.job.directory / TRIALS / f"{prefix}rate-{rate:g}-seed-{seed}"
        run = self._run(directory, rate, seed, is_random)
        storage.sweep(directory)
        if not storage.is_fresh(directory, KIND, run.model_key):
            words = "random weights, " if is_random else ""
            self.job.progress.say(f"trial: {words}learning rate {rate:g}, seed {seed}")
            state = run.finish()
            per_epoch = math.ceil(self.count / min(self.tuning.batch_size, self.count))
            facts = {
                "error": state.best_loss,
                "epoch": round(state.chosen_step / per_epoch, 2),
                "seconds": state.seconds,
            }
            with storage.published(directory, KIND, run.model_key, facts) as partial:
                write_model(partial, run.model, run.tokenizer, run.provenance)
            run.tidy()
        facts = storage.manifest(directory, KIND).facts
        return Trial(directory, rate, seed, facts["error"], facts["epoch"], facts["seconds"])

    def _run(self, directory: Path, rate: float, seed: int, is_random: bool) -> Run:
        base, tuning = self.start.opened, self.tuning
        if is_random:
            model = Headed(replace(base.config, dropout=tuning.dropout), self.task, seed)
        else:
            model = Headed.over(base.model, self.task, seed, tuning.dropout)
        recipe = self._recipe(rate, seed)
        batch = min(tuning.batch_size, self.count)
        return Run(
            directory=directory,
            model=model,
            tokenizer=base.tokenizer,
            training=self.training(seed, batch),
            validation=self.choice,
            objective=self.objective,
            recipe=recipe,
            provenance=self._provenance(recipe, is_random),
            progress=self.job.progress,
        )

    def _recipe(self, rate: float, seed: int) -> Recipe:
        tuning, context = self.tuning, self.start.opened.config.context_length
        found = self.machine
        batch = min(tuning.batch_size, self.count)
        at_once = batch * context if self.stays_whole else max(context, tuning.micro_batch_tokens)
        steps = math.ceil(self.count * tuning.epochs / batch)
        each = math.ceil(self.count / batch)
        return Recipe(
            seed=seed,
            steps=steps,
            batch_tokens=batch * context,
            micro_batch_tokens=min(batch * context, at_once),
            learning_rate=rate,
            weight_decay=tuning.weight_decay,
            beta2=0.999,
            gradient_clip=tuning.gradient_clip,
            schedule="linear",
            warmup_steps=round(tuning.warmup * steps),
            precision=found.precision,
            device=found.device,
            threads=found.threads,
            evaluate_every=each,
            evaluate_tokens=self.choice.per_epoch * context,
            checkpoint_every=each,
            keep_last=1,
            on_divergence=tuning.on_divergence,
            spike_sigmas=tuning.spike_sigmas,
        )

    def _provenance(self, recipe: Recipe, is_random: bool) -> Mapping[str, Any]:
        return provenance(
            corpus=self.training(recipe.seed, 1).split.data_fingerprint,
            tokenizer=self.start.opened.tokenizer.fingerprint,
            shards="",
            settings={"task": {**vars(self.task), "labels": list(self.task.labels)}, "training": dict(vars(recipe))},
            parent="" if is_random else self.start.fingerprint,
        )


def search(rates: tuple[float, ...], trial: Callable[[float], Trial], further: int) -> tuple[Trial, ...]:
    """Return a trial of each rate, and of up to `further` ones beyond the end where the one best trial stands."""
    tried = [trial(rate) for rate in rates]
    for _ in range(further):
        match at_edge(tried):
            case "highest":
                rate = max(one.rate for one in tried) * _STRIDE
            case "lowest":
                rate = min(one.rate for one in tried) / _STRIDE
            case _:
                break
        tried.append(trial(float(f"{rate:.3g}")))
    return tuple(tried)


def at_edge(tried: Sequence[Trial]) -> Literal["highest", "lowest", "inside"]:
    """Say where among the rates of several trials the best one is; where others are as good, it counts as inside."""
    least = min(trial.error for trial in tried)
    best = [trial.rate for trial in tried if trial.error == least]
    if len(tried) > 1 and len(best) == 1:
        if best[0] == max(trial.rate for trial in tried):
            return "highest"
        if best[0] == min(trial.rate for trial in tried):
            return "lowest"
    return "inside"


def look(tuning: Tuning) -> machine.Machine:
    """Look at the device that is to be used."""
    return machine.look(TrainConfig(device=tuning.device, threads=tuning.threads, precision=tuning.precision))


def publish(lesson: Lesson, key: str, trial: Trial, name: str, values: Mapping[str, Any]) -> None:
    """Put a trial's model in the place of the adaptation's, with `values` as the JSON file `name`; drop the trials."""
    directory = lesson.job.directory
    facts = {"error": trial.error, "epoch": trial.epoch, "learning_rate": trial.rate, "seed": trial.seed}
    files = [*storage.manifest(trial.directory, KIND).files, METRICS]
    with storage.refusals(directory), storage.published(directory, KIND, key, facts) as partial:
        for file in files:
            (partial / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(trial.directory / file, partial / file)
        storage.write_json(partial / name, dict(values))
    lesson.discard()
