"""A whole run in a directory: resume, train, validate, log, keep checkpoints, and leave the chosen weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textus import fingerprint, storage
from textus.checkpoint import training_state
from textus.checkpoint.checkpoint import load_weights
from textus.dataset.loader import Loader
from textus.dataset.rows import Rows
from textus.errors import CheckpointError, DivergenceError, Interrupted
from textus.model.transformer import Transformer
from textus.objectives.causal import Causal
from textus.objectives.objective import Objective
from textus.progress import SILENT, Progress, Task
from textus.tokenizer.tokenizer import Tokenizer
from textus.training import aids, keep
from textus.training.crew import assemble
from textus.training.distributed import Ranks
from textus.training.identity import identity
from textus.training.keep import CHECKPOINTS, METRICS
from textus.training.lines import line_of, note
from textus.training.log import MetricsLog, Unwritten
from textus.training.loop import Step, TrainState, train
from textus.training.monitor import LONGEST_BAD_ROW
from textus.training.precision import Precision
from textus.training.recipe import Recipe
from textus.training.saving import Saver, take_up, take_up_beside
from textus.training.signals import stop_requests
from textus.training.together import Alone
from textus.training.validation import evenly_spaced

MOST_ROLLBACKS = 3
"""To one checkpoint."""


@dataclass
class Run:
    """A model under training in `directory`, with everything that a checkpoint must hold."""

    directory: Path
    model: Transformer
    tokenizer: Tokenizer
    training: Rows
    validation: Rows
    objective: Objective
    recipe: Recipe
    provenance: Mapping[str, Any]
    progress: Progress = SILENT
    on_step: Callable[[Step], None] = field(default=lambda step: None)
    also: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Tables of what else decides the weights, by their names."""
    ranks: Ranks = field(default_factory=Ranks)
    """The processes that train it together; all of them have a run like this one."""
    _crew: Alone = field(default_factory=Alone, repr=False)

    @property
    def identity(self) -> dict[str, Any]:
        """Return what decides the weights; a checkpoint of another identity is not resumed."""
        parent = self.provenance.get("parent", "")
        found = identity(self.model.config, self.recipe, self.objective, self.training, self.validation, parent)
        return {**found, **{name: dict(table) for name, table in self.also.items()}}

    @property
    def key(self) -> str:
        """Hash the identity."""
        return fingerprint.of_value(self.identity)

    @property
    def model_key(self) -> str:
        """Hash what decides the weights that the run leaves."""
        return fingerprint.of_parts([self.key, self.recipe.select])

    @property
    def checkpoints(self) -> Path:
        """Return the directory of this run's checkpoints."""
        return self.directory / CHECKPOINTS

    def finish(self) -> TrainState:
        """Train to the end from the newest good checkpoint, leave the selected weights in `model`, return the state.

        Raises `Interrupted` on Ctrl-C or SIGTERM, with everything saved; `DivergenceError` when the monitor's policy
        says stop; `ConfigError` when a checkpoint of other settings is in the way.
        """
        self.ranks.first(self.refuse_other_settings)
        self.ranks.connect(self.recipe.device)
        self.model.to(self.recipe.device)
        aids.attach(self.model, self.recipe)
        self._crew = assemble(self.ranks, self.model, self.recipe)
        state = TrainState.start(self.model, self.recipe)
        log = self._log(state, self._resume(state))
        try:
            with (
                stop_requests() as self._crew.request,
                self.progress.task("training", self.recipe.steps, "steps") as task,
                self._saver() as saver,
            ):
                task.advance(state.step)
                while state.step < self.recipe.steps:
                    self._sitting(state, log, task, saver)
        finally:
            log.close()
        if self._crew.agree_to_stop():  # it came with the last step, or while that was saved
            raise self._interrupted(state)
        state.chosen_step = self.ranks.first(lambda: self._choose(state))
        return state

    def _log(self, state: TrainState, length: int) -> MetricsLog:
        if not self.ranks.leads:
            return Unwritten()
        path = self.directory / METRICS
        return MetricsLog(path, length, tensorboard=self.recipe.tensorboard, first_step=state.step + 1)

    def refuse_other_settings(self) -> None:
        """Raise `ConfigError`, naming what differs, where checkpoints here belong to a run with other settings."""
        keep.refuse_others(self.checkpoints, self.identity)

    def tidy(self) -> None:
        """Delete what the run no longer needs, once its model is safe in its place."""
        keep.tidy(self.directory, self.key, self.model_key)

    def _sitting(self, state: TrainState, log: MetricsLog, task: Task, saver: Saver) -> None:
        """Train until the end or a rollback."""
        crew = self._crew

        def settles(number: int) -> bool:
            return bool(crew.stop) or self._pauses_at(number)

        steps = train(self.model, self._loader(), self.objective, self.recipe, state, settles, crew)
        try:
            for step in steps:
                saver.check()
                self.on_step(step)
                validation = self._validate(state, step)
                line = line_of(
                    step,
                    validation,
                    self.model.config,
                    self.recipe,
                    self.ranks.world,
                    has_perplexity=isinstance(self.objective, Causal),
                )
                if step.verdict.judgement != "ok":
                    line["batch"] = self._batch_name(step.number)
                log.write(line)
                task.advance(1)
                task.note(note(line, state))
                self._watch(step, state)
                if self.recipe.on_divergence == "rollback" and step.verdict.judgement in ("non-finite", "spike"):
                    self.ranks.first(saver.wait)
                    task.advance(self._roll_back(step, state, log))
                    return
                if state.launched != step.number:
                    continue  # the weights are already of the next step
                improved = validation is not None and state.best_step == step.number
                last = step.number == self.recipe.steps
                if improved or last or crew.stop or step.number % self.recipe.checkpoint_every == 0:
                    self._save(state, log, saver)
                if crew.stop:
                    self.ranks.first(saver.wait)
                    raise self._interrupted(state)
        finally:
            steps.close()

    def _pauses_at(self, number: int) -> bool:
        """Tell whether something is done with the weights after a step."""
        return number % self.recipe.evaluate_every == 0 or number % self.recipe.checkpoint_every == 0

    def _interrupted(self, state: TrainState) -> Interrupted:
        return Interrupted(
            f"stopped after step {state.step} of {self.recipe.steps}; checkpoint saved",
            hint="run the same command again to go on",
            signal_number=self._crew.stop,
        )

    def _choose(self, state: TrainState) -> int:
        """Put the weights that the run leaves into the model, and return the step that they are of."""
        self.model.aids = None
        self.model = self._crew.whole(self.model, training_state.path(self.checkpoints, state.step))
        if self.recipe.select == "last" or not 0 < state.best_step < state.step:
            state.average.settle()
            return state.step
        best = training_state.path(self.checkpoints, state.best_step)
        try:
            storage.verify(best, training_state.KIND, CheckpointError)
            load_weights(best, self.model)
            take_up_beside(self.model, training_state.beside(best))
        except CheckpointError as error:
            self.progress.say(f"the best checkpoint is damaged, and the last weights are taken: {error.message}")
            state.average.settle()
            return state.step
        return state.best_step

    def _resume(self, state: TrainState) -> int:
        """Load the newest good checkpoint, if any, and return the length of the metrics file that belongs to it."""
        newest = self.ranks.first(self._newest)
        if not newest:
            return 0
        values = self._load(newest, state)
        self.progress.say(f"resuming after step {state.step} of {self.recipe.steps}")
        return int(values["metrics_length"])

    def _newest(self) -> int:
        """Tidy up after who was killed; return the step of the newest good checkpoint, 0 where there is none."""
        storage.sweep(self.checkpoints)
        newest = keep.newest(self.checkpoints, self.progress.say)
        if newest:
            return newest
        if training_state.steps(self.checkpoints):
            raise CheckpointError(
                f"{self.checkpoints}: no checkpoint here is whole",
                hint="delete this directory to train from the beginning",
            )
        keep.set_metrics_aside(self.directory)
        return 0

    def _load(self, step: int, state: TrainState) -> dict[str, Any]:
        checkpoint = training_state.path(self.checkpoints, step)
        values = self._crew.load(checkpoint, self.model, state.optimizer)
        state.restore(values)
        take_up(self.model, state, training_state.beside(checkpoint))
        return values

    def _loader(self) -> Loader:
        context = self.model.config.context_length
        rows, ranks = self.recipe.rows(context), self.ranks
        return Loader(
            self.training, rows, ranks.rank, ranks.world, lambda steps: self.recipe.rows_before(steps, context)
        )

    def _saver(self) -> Saver:
        background = self.recipe.saving == "background"
        where, kept = self.checkpoints, self.recipe.keep_last
        return Saver(where, self.model, self.tokenizer, self.provenance, self.key, kept, background, self.progress.say)

    def _validate(self, state: TrainState, step: Step) -> float | None:
        """Measure the validation loss where it is due, and note the best."""
        if step.number % self.recipe.evaluate_every and step.number != self.recipe.steps:
            return None
        precision = Precision(self.recipe.precision, self.recipe.device)
        device = self.recipe.device
        windows = evenly_spaced(self.validation, self.recipe, self.model.config.context_length)
        with state.average.shown():
            loss = self._crew.measure(self.model, self.objective.validation(), windows, device, precision.autocast)
        value = float(loss.mean)
        if value < state.best_loss:
            state.best_loss, state.best_step = value, step.number
        return value

    def _save(self, state: TrainState, log: MetricsLog, saver: Saver) -> None:
        path = training_state.path(self.checkpoints, state.step)
        weights, spread = self._crew.gathered(self.model, state.optimizer, lambda: storage.stage(path))

        def save() -> None:
            values = {**state.values(), "metrics_length": log.sync(), "identity": self.identity}
            saver.save(state, values, weights, spread)

        self.ranks.first(save)

    def _watch(self, step: Step, state: TrainState) -> None:
        """Say what went wrong with a step, naming its batch; stop where the policy or patience ends."""
        from_scratch = state.first_loss > 0.8 * math.log(self.model.config.vocab_size)
        if from_scratch and step.number > 2 * self.recipe.warmup_steps and state.monitor.stalled(state.first_loss):
            raise DivergenceError(
                f"step {step.number}: the loss has not left {state.first_loss:.3f}, where it began",
                hint="raise or lower training.learning_rate tenfold; look at the windows with `textus inspect`",
            )
        if step.verdict.judgement not in ("non-finite", "spike"):
            return
        what = f"step {step.number}: {step.verdict.reason} ({self._batch_name(step.number)})"
        self.progress.say(f"{what}; this update is left out")
        if self.recipe.on_divergence == "stop" or state.monitor.bad_row >= LONGEST_BAD_ROW:
            raise DivergenceError(
                what, hint="lower training.learning_rate, or choose training.on_divergence=skip or rollback"
            )

    def _batch_name(self, number: int) -> str:
        first, end = (self.recipe.rows_before(n, self.model.config.context_length) for n in (number - 1, number))
        windows = range(first, end)
        documents = sorted({source.document for window in windows for source in self.training.sources(window)})
        shown = ", ".join(map(str, documents[:8])) + (", ..." if len(documents) > 8 else "")
        return f"windows {first} to {end - 1}, training documents {shown}"

    def _roll_back(self, step: Step, state: TrainState, log: MetricsLog) -> int:
        """Return to the newest checkpoint with this step's batch ruled out; return the steps moved."""
        newest = self.ranks.first(lambda: keep.newest(self.checkpoints, self.progress.say))
        left_out = {*state.left_out, step.number}
        if not newest:
            raise DivergenceError(
                f"step {step.number}: {step.verdict.reason}, before the first checkpoint",
                hint="lower training.learning_rate or raise training.warmup_steps",
            )
        self._load(newest, state)
        if sum(number > state.step for number in left_out) > MOST_ROLLBACKS:
            raise DivergenceError(
                f"step {step.number}: {step.verdict.reason}, after {MOST_ROLLBACKS} rollbacks to step {state.step}",
                hint="lower training.learning_rate, or look at the batches named in metrics.jsonl",
            )
        state.left_out = left_out
        log.write({"step": state.step, "event": "rollback", "left_out": sorted(left_out)})
        self.progress.say(f"rolled back to step {state.step}; the batch of step {step.number} will be left out")
        return state.step - step.number
