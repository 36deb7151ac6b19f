"""Say what would be trained and what it would cost, without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from textus import config as settings_module
from textus import fingerprint, storage
from textus.checkpoint import training_state
from textus.dataset.loader import Loader
from textus.dataset.pack import Windows
from textus.errors import ConfigError, TextusError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives import table as objectives
from textus.progress import SILENT, Progress
from textus.training import machine
from textus.training.config import TrainConfig
from textus.training.identity import differences, named
from textus.training.keep import CHECKPOINTS
from textus.training.loop import TrainState, train
from textus.training.plan import Plan, TextSize, retime
from textus.training.plan import plan as make_plan
from textus.training.presets import asking
from textus.training.recipe import HARMLESS, Recipe
from textus.verbs.lock import locked
from textus.verbs.settings import RunSettings, resolve
from textus.verbs.stages import Stages

PLAN = "plan.json"
CALIBRATION_SECONDS = 4.0
"""How long the speed is measured; runs that are hardly longer are not worth it."""
FREE = tuple(name for name in HARMLESS if name != "minutes")
"""Settings that may differ between the sittings of one run; the minutes decide its steps."""


def plan(
    inputs: str | Path | Sequence[str | Path] = (),
    *,
    out: str | Path = "",
    settings: RunSettings | Mapping[str, Any] = RunSettings(),  # noqa: B008 - frozen
    progress: Progress = SILENT,
) -> Plan:
    """Make the stages before training and return the plan that `train` would follow, its speed measured here."""
    resolved = resolve(inputs, out, settings)
    with locked(resolved.directory):
        return planned(Stages(resolved, progress))


@dataclass(frozen=True)
class _Wanted:
    """What a plan depends on: a plan that was kept is used again while this stays the same."""

    settings: RunSettings
    text: TextSize
    parent: str
    """Fingerprint of the model that training starts from, if it does."""

    @property
    def asked(self) -> dict[str, Any]:
        """Return it as JSON-like values, without the settings that change no plan."""
        return {
            "model": dict(vars(self.settings.model)),
            "training": {name: value for name, value in vars(self.settings.training).items() if name not in FREE},
            "objective": dict(vars(self.settings.objective)),
            "text": {**vars(self.text), **({"parent": self.parent} if self.parent else {})},
        }

    @property
    def key(self) -> str:
        """Hash it."""
        return fingerprint.of_value(self.asked)


def planned(stages: Stages, world: int = 1) -> Plan:
    """Return the plan of a run: the one it was begun with, so that it resumes the same, or a new one.

    `world` devices like this process's share the work.
    """
    settings, split = stages.settings, stages.shards.split("train")
    text = TextSize(
        training_tokens=split.num_tokens,
        validation_tokens=stages.shards.split("validation").num_tokens,
        longest_context=split.num_tokens - settings.objective.offset,
        vocab_size=stages.tokenizer.vocab_size,
    )
    start = stages.start
    wanted = _Wanted(settings, text, start.fingerprint if start else "")
    kept = _kept(stages.directory / PLAN, wanted.key)
    if kept is not None:
        kept = _with_free(kept, settings.training)
        if kept.recipe.device == "cpu":
            torch.set_num_threads(kept.recipe.threads)
        return kept
    if training_state.steps(stages.directory / CHECKPOINTS):
        # A new plan would take the place of the one that these can be resumed by.
        raise ConfigError(
            f"{stages.directory}: a run is not finished here that differs from this one in {_changes(stages, wanted)}",
            hint=f"go on with it by `textus train {stages.directory}`, choose another -o, or delete "
            f"{stages.directory / CHECKPOINTS} to begin anew",
        )
    alone = machine.look(settings.training)
    found = replace(alone, flops=alone.flops * world)
    made = make_plan(text, settings.model, settings.training, found, settings.objective, start.model if start else None)
    fits = made.memory_bytes <= alone.memory_bytes + alone.base_bytes
    if made.seconds > 2 * CALIBRATION_SECONDS and (fits or world == 1):
        speed = _measure(made, stages) * world
        made = retime(made, text, settings.model, settings.training, found, speed)
    storage.write_json(stages.directory / PLAN, {"key": wanted.key, "asked": wanted.asked, **made.as_dict()})
    return made


def _measure(made: Plan, stages: Stages) -> float:
    """Train a throw-away model for a few seconds and return its tokens a second."""
    recipe = Recipe(**{**vars(made.recipe), "warmup_steps": 0})
    model = Transformer(made.model, seed=recipe.seed).to(recipe.device)
    num_windows = recipe.rows_before(recipe.steps, made.model.context_length)
    asked = asking(stages.settings.objective, made.tokens)
    objective = objectives.build(asked, stages.tokenizer, num_windows, recipe.seed)
    windows = Windows(stages.shards.split("train"), made.model.context_length, objective.prediction_offset, recipe.seed)
    rows = recipe.rows(made.model.context_length)
    steps = train(model, Loader(windows, rows), objective, recipe, TrainState.start(model, recipe))
    speeds: list[float] = []
    spent = 0.0
    for step in steps:
        if step.number > 1:  # the first one pays for memory, caches and compilation
            spent += step.seconds
            speeds.append(rows * made.model.context_length / step.seconds)
        if spent > CALIBRATION_SECONDS and len(speeds) >= 2:
            break
    steps.close()
    return sorted(speeds)[len(speeds) // 2] if speeds else 1.0


def _with_free(kept: Plan, training: TrainConfig) -> Plan:
    """Return the plan with what a sitting may choose for itself; what is "auto" stays as it was planned."""
    chosen = {name: getattr(training, name) for name in FREE}
    changes = {name: value for name, value in chosen.items() if value != "auto"}
    return replace(kept, recipe=replace(kept.recipe, **changes))


def _changes(stages: Stages, wanted: _Wanted) -> str:
    """Name what the settings differ in from those that the kept plan was made for."""
    try:
        kept = storage.read_json(stages.directory / PLAN)["asked"]
        return named(differences(kept, wanted.asked)) or "its plan"
    except (TextusError, KeyError, TypeError):
        return f"its plan, which {PLAN} has lost"


def _kept(path: Path, key: str) -> Plan | None:
    try:
        values = storage.read_json(path)
        if values["key"] != key:
            return None
        return Plan(
            model=settings_module.build(ModelConfig, values["model"], str(path)),
            recipe=settings_module.build(Recipe, values["training"], str(path)),
            tokens=values["tokens"],
            epochs=values["epochs"],
            seconds=values["seconds"],
            memory_bytes=values["memory_bytes"],
            notes=tuple(values["notes"]),
        )
    except (TextusError, KeyError, TypeError):
        return None
