"""Say what a longer context costs: the planned model in several, by the formulas of planning and by trying it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from textus import config as settings_module
from textus.dataset.loader import Loader
from textus.dataset.pack import Windows
from textus.dataset.tokenize import Shards
from textus.errors import ConfigError
from textus.model.config import ModelConfig
from textus.model.transformer import Transformer
from textus.objectives import table as objectives
from textus.objectives.config import ObjectiveConfig
from textus.progress import SILENT, Progress
from textus.report import Table
from textus.tokenizer.tokenizer import Tokenizer
from textus.training import machine
from textus.training.cost import Memory, memory, tokens_per_second
from textus.training.loop import TrainState, train
from textus.training.plan import Plan, TextSize, settle
from textus.training.plan import plan as make_plan
from textus.training.recipe import Recipe
from textus.verbs.lock import locked
from textus.verbs.settings import RunSettings, resolve
from textus.verbs.stages import Stages

MEASURED_STEPS, MEASURED_SECONDS = 3, 20.0
"""So many steps after the first are timed, fewer where they take longer than this together."""


@dataclass(frozen=True)
class Measured:
    """What a few steps of training have taken."""

    tokens_per_second: float
    peak_memory_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {**asdict(self), "seconds_per_million_tokens": 1e6 / self.tokens_per_second}


@dataclass(frozen=True)
class ContextCost:
    """What it costs to train the planned model in one context."""

    context_length: int
    rows: int
    """Windows in memory at once."""
    flops_per_token: int
    tokens_per_second: float
    memory: Memory
    fits: bool
    """Whether so much memory is free."""
    measured: Measured | None
    """None where it was not asked for, or the machine had not the memory."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            **{name: value for name, value in vars(self).items() if name not in ("memory", "measured")},
            "seconds_per_million_tokens": 1e6 / self.tokens_per_second,
            "memory_bytes": self.memory.total,
            "memory": asdict(self.memory),
            "measured": self.measured.as_dict() if self.measured else None,
        }


@dataclass(frozen=True)
class ContextPlan:
    """The planned model in several contexts."""

    plan: Plan
    """For the context that training would use."""
    rows: tuple[ContextCost, ...]
    tried: bool
    """Whether it was measured too."""

    def text(self) -> str:
        """Return a table for people."""
        header = ["context", "FLOPs a token", "tokens/s", "s a million tokens", "memory, MiB"]
        if self.tried:
            header += ["measured tokens/s", "s a million tokens", "memory, MiB"]
        model, recipe = self.plan.model, self.plan.recipe
        shape = f"{model.num_layers} layers x {model.hidden_size}, {model.num_parameters():,} parameters"
        head = f"{shape}, on {recipe.device} in {recipe.precision}; expected" + (", then measured" * self.tried)
        table = Table(tuple(header), tuple(self._cells(row) for row in self.rows)).text()
        notes = [
            f"note: {row.memory.total >> 20:,} MiB for a context of {row.context_length:,} are more than is free"
            for row in self.rows
            if not row.fits
        ]
        return "\n".join([head, table, *notes])

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        recipe = self.plan.recipe
        return {
            "model": dict(vars(self.plan.model)),
            "parameters": self.plan.model.num_parameters(),
            "device": recipe.device,
            "precision": recipe.precision,
            "contexts": [row.as_dict() for row in self.rows],
        }

    def _cells(self, row: ContextCost) -> tuple[Any, ...]:
        def cells(speed: float, memory_bytes: int) -> tuple[Any, ...]:
            return round(speed), round(1e6 / speed, 1), memory_bytes >> 20

        found: tuple[Any, ...] = (row.context_length, row.flops_per_token)
        found += cells(row.tokens_per_second, row.memory.total)
        if not self.tried:
            return found
        measured = row.measured
        return found + (cells(measured.tokens_per_second, measured.peak_memory_bytes) if measured else ("-",) * 3)


def plan_contexts(
    inputs: str | Path | Sequence[str | Path] = (),
    *,
    contexts: Sequence[int],
    measure: bool = False,
    out: str | Path = "",
    settings: RunSettings | Mapping[str, Any] = RunSettings(),  # noqa: B008 - frozen
    progress: Progress = SILENT,
) -> ContextPlan:
    """Make the stages before training, and say for each context what training the planned model in it would take.

    `measure` trains a throw-away model for a few steps in each, in a process of its own. Nothing of a run changes.
    """
    resolved = resolve(inputs, out, settings)
    with locked(resolved.directory):
        return _contexts(Stages(resolved, progress), contexts, measure)


def _contexts(stages: Stages, contexts: Sequence[int], measure: bool) -> ContextPlan:
    settings, split = stages.settings, stages.shards.split("train")
    validation = stages.shards.split("validation").num_tokens
    text = TextSize(
        split.num_tokens, validation, split.num_tokens - settings.objective.offset, stages.tokenizer.vocab_size
    )
    for context in contexts:
        if not 2 <= context <= text.longest_context:
            raise ConfigError(
                f"a context of {context} tokens: the training part has {text.training_tokens}",
                hint=f"give contexts from 2 to {text.longest_context}",
            )
    found = machine.look(settings.training)
    start = stages.start.model if stages.start else None
    made = make_plan(text, settings.model, settings.training, found, settings.objective, start)
    rows = []
    for context in contexts:
        shape = replace(made.model, context_length=context)
        there = settle(text, shape, settings.model, settings.training, found, made.tokens)
        rows.append(_cost(there, found, _tried(stages, there) if measure else None))
    return ContextPlan(made, tuple(rows), measure)


def _cost(made: Plan, found: machine.Machine, measured: Measured | None) -> ContextCost:
    config, needs = made.model, memory(made.model, made.recipe, found)
    return ContextCost(
        context_length=config.context_length,
        rows=made.recipe.micro_rows(config.context_length),
        flops_per_token=config.flops_per_token(),
        tokens_per_second=tokens_per_second(config, found),
        memory=needs,
        fits=needs.total <= found.memory_bytes + found.base_bytes,
        measured=measured,
    )


def _tried(stages: Stages, made: Plan) -> Measured | None:
    """Try it in a process of its own, whose peak is its own too; None where the system has ended that."""
    order = (stages.shards.directory, dict(vars(made.model)), dict(vars(made.recipe)), stages.settings.objective)
    spawned = multiprocessing.get_context("spawn")
    with (
        stages.progress.task(f"context {made.model.context_length}", MEASURED_STEPS + 1, "steps"),
        ProcessPoolExecutor(1, mp_context=spawned) as pool,
    ):
        try:
            return pool.submit(measured, *order).result()
        except (BrokenProcessPool, torch.OutOfMemoryError):
            return None


def measured(shards: Path, model: dict[str, Any], recipe: dict[str, Any], objective: ObjectiveConfig) -> Measured:
    """Train a throw-away model for a few steps; the first one pays for memory, caches and compilation."""
    config = settings_module.build(ModelConfig, model, "the model")
    trying = Recipe(**{**recipe, "steps": MEASURED_STEPS + 1, "warmup_steps": 0})
    if trying.device == "cpu":
        torch.set_num_threads(trying.threads)
    tokenizer = Tokenizer.load(shards.parent / "tokenizer")
    num_windows = trying.steps * trying.rows(config.context_length)
    asked = objectives.build(objective, tokenizer, num_windows, trying.seed)
    windows = Windows(Shards.open(shards).split("train"), config.context_length, asked.prediction_offset, trying.seed)
    network = Transformer(config, seed=trying.seed).to(trying.device)
    loader = Loader(windows, trying.rows(config.context_length))
    steps = train(network, loader, asked, trying, TrainState.start(network, trying))
    speeds: list[float] = []
    spent = 0.0
    for step in steps:
        spent += step.seconds
        speeds.append(step.positions / step.seconds)
        if spent > MEASURED_SECONDS:
            break
    steps.close()
    counted = sorted(speeds[1:] or speeds)
    return Measured(counted[len(counted) // 2], machine.peak_bytes(trying.device))
