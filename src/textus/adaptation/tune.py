"""Teach a model by examples: plan, run the training loop, and leave a model directory. Every method comes here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from textus import config as settings_module
from textus import fingerprint, storage
from textus.adaptation import lora
from textus.adaptation.base import Base
from textus.adaptation.job import Job
from textus.adaptation.settings import LoraConfig
from textus.checkpoint.checkpoint import CONFIG, GENERATION, KIND, write_model
from textus.checkpoint.provenance import provenance
from textus.dataset.packing import Packed
from textus.dataset.prompts import Prompts
from textus.decoding.config import SamplingConfig
from textus.errors import ConfigError, TextusError
from textus.model.leak import check_leaks
from textus.model.transformer import Transformer
from textus.objectives.objective import Objective
from textus.report import Table
from textus.training import machine
from textus.training.config import ModelSettings, TrainConfig
from textus.training.cost import tokens_per_second
from textus.training.loop import TrainState
from textus.training.plan import Plan, TextSize, settle
from textus.training.presets import learning_rate
from textus.training.recipe import HARMLESS, Recipe
from textus.training.run import Run

PLAN, RECORD, ADAPTER = "plan.json", "training.json", "adapter"
DRIFT_TOKENS = 64
"""So many tokens are read to see what merging an adapter changes."""


@dataclass
class Tuning:
    """A model under adaptation, with all that decides what becomes of it."""

    job: Job
    base: Base
    training: Packed | Prompts
    validation: Packed | Prompts
    objective: Objective
    epochs: float
    config: TrainConfig
    lora: LoraConfig
    sampling: SamplingConfig
    rate: float = 1.0
    """By what the planned learning rate is multiplied, where none is set."""

    def __post_init__(self) -> None:
        if self.config.start_from:
            raise ConfigError(
                f"training.start_from is {self.config.start_from}, and the model to adapt is given already",
                hint="leave it out",
            )
        if self.lora.rank and not self.config.ema == self.config.swa == "off":
            raise ConfigError(
                "averages of weights and adapters do not go together", hint="set training.ema=off training.swa=off"
            )

        if self.lora.rank and self.base.added:
            raise ConfigError(
                f"{self.base.directory}: its vocabulary lacks {self.base.added[0]}, and an adapter adds no token",
                hint="leave lora.rank out, or give a template (template=FILE) of tokens that it has",
            )

    @property
    def directory(self) -> Path:
        """Return where the adapted model goes."""
        return self.job.directory

    @property
    def also(self) -> dict[str, dict[str, Any]]:
        """Return what decides the weights besides the model, the recipe and the examples."""
        template = fingerprint.of_text(self.base.turns.template.source)
        adapter = {"lora": dict(vars(self.lora))} if self.lora.rank else {}
        return {"chat": {"template": template}, **adapter}

    def run(self) -> Run:
        """Bring together what the training needs."""
        recipe = self._recipe()
        if recipe.device == "cpu":
            torch.set_num_threads(recipe.threads)
        model = self.base.opened.model
        for parameter in model.parameters():
            parameter.data = parameter.data.float()  # weights learn in float32, whatever they are kept in
        if self.lora.rank:
            lora.attach(model, self.lora, recipe.seed, self.base.new_tokens)
        return Run(
            directory=self.directory,
            model=model,
            tokenizer=self.base.opened.tokenizer,
            training=self.training,
            validation=self.validation,
            objective=self.objective,
            recipe=recipe,
            provenance=provenance(
                corpus=self.training.split.data_fingerprint,
                tokenizer=self.base.opened.tokenizer.fingerprint,
                shards="",
                settings={"adaptation": dataclasses.asdict(self.job.settings)},
                parent=self.base.fingerprint,
            ),
            progress=self.job.progress,
            also=self.also,
        )

    def finish(self, run: Run) -> None:
        """Train to the end and put the model in its place, unless it is there already."""
        run.refuse_other_settings()
        if storage.is_fresh(self.directory, KIND, run.model_key):
            run.tidy()
            return
        check_leaks(run.model)
        state = run.finish()
        self._publish(run, state)
        run.tidy()

    def _recipe(self) -> Recipe:
        """Return the plan that this job was begun with, or make one; what is "auto" depends on the machine."""
        rows, context = self.training.per_epoch, self.training.context_length
        asked = {name: value for name, value in vars(self.config).items() if name not in HARMLESS or name == "minutes"}
        key = fingerprint.of_value(
            {"training": asked, "epochs": self.epochs, "rows": [rows, context], "lora": vars(self.lora)}
        )
        kept = self._kept_plan(key)
        if kept is not None:
            return kept
        made = self._plan(rows * context)
        self.job.progress.say(
            f"{made.recipe.steps} steps of {made.recipe.rows(context)} windows of {context} tokens: "
            f"{made.epochs:.3g} epochs, about {made.seconds:.0f} s; rate {made.recipe.learning_rate:g}"
        )
        storage.write_json(self.directory / PLAN, {"key": key, "training": dict(vars(made.recipe))})
        return made.recipe

    def _plan(self, per_epoch: int) -> Plan:
        found, shape = machine.look(self.config), self.base.opened.config
        changes: dict[str, Any] = {"start_from": str(self.base.directory)}
        if self.lora.rank and self.config.optimizer == "auto":
            changes["optimizer"] = "adamw"  # a pair is too thin for its gradient to be made orthogonal
        tokens = self.epochs * per_epoch
        if self.config.minutes != "auto":
            tokens = min(tokens, self.config.minutes * 60 * 0.9 * tokens_per_second(shape, found))
        context = self.training.context_length
        text = TextSize(per_epoch, self.validation.per_epoch * context, context, shape.vocab_size)
        made = settle(text, shape, ModelSettings(dropout=0.0), replace(self.config, **changes), found, tokens)
        if self.config.learning_rate != "auto":
            return made
        # an adapter wants ten times the rate of all weights (Schulman et al. 2025, "LoRA without regret")
        rate = learning_rate(made.recipe.optimizer, shape, continued=not self.lora.rank) * self.rate
        return replace(made, recipe=replace(made.recipe, learning_rate=rate))

    def _kept_plan(self, key: str) -> Recipe | None:
        try:
            values = storage.read_json(self.directory / PLAN)
            if values["key"] != key:
                return None
            kept = settings_module.build(Recipe, values["training"], str(self.directory / PLAN))
        except (TextusError, KeyError, TypeError):
            return None
        free = {name: getattr(self.config, name) for name in HARMLESS if name not in ("minutes", "start_from")}
        return replace(kept, **{name: value for name, value in free.items() if value != "auto"})

    def _publish(self, run: Run, state: TrainState) -> None:
        """Write the model with its template; what ends an answer ends all that it writes, here and everywhere else."""
        tokenizer, turns = run.tokenizer, self.base.turns
        generation = {**self.sampling.generation_config(), "eos_token_id": [turns.end, tokenizer.end]}
        record: dict[str, Any] = {
            "steps": state.step,
            "tokens": state.tokens,
            "seconds": state.seconds,
            "chosen_step": state.chosen_step,
            "best_validation_loss": state.best_loss,
            "left_out": sorted(state.left_out),
            "peak_memory_bytes": machine.peak_bytes(run.recipe.device),
            "identity": run.identity,
        }
        model = run.model
        if self.lora.rank:
            model = lora.merged(run.model)
            record["merge_drift"] = self._drift(run.model, model)
        facts = {"step": state.chosen_step, "parameters": model.config.num_parameters()}
        with storage.refusals(self.directory), storage.published(self.directory, KIND, run.model_key, facts) as partial:
            write_model(partial, model, tokenizer, run.provenance, generation)
            self._say_how_it_ends(partial)
            if self.lora.rank:
                self._write_adapter(partial / ADAPTER, run.model)
            storage.write_json(partial / RECORD, record)
        if not self.lora.rank and (self.directory / ADAPTER).is_dir():
            storage.discard(self.directory / ADAPTER)  # of an earlier job here: it does not speak for these weights

    def _say_how_it_ends(self, directory: Path) -> None:
        turns = self.base.turns
        turns.template.save(directory, turns.tokenizer.token_bytes(turns.end).decode())
        if (directory / CONFIG).is_file():
            values = storage.read_json(directory / CONFIG)
            storage.write_json(directory / CONFIG, {**values, "eos_token_id": turns.end})

    def _write_adapter(self, directory: Path, model: Transformer) -> None:
        tokenizer, base = self.base.opened.tokenizer, self.base
        origin = {"base": base.fingerprint}
        lora.save(directory, model, self.lora, base.new_tokens, base=base.directory, origin=origin)
        tokenizer.save(directory, model.config.context_length)
        ends: Mapping[str, Any] = {"eos_token_id": [base.turns.end, tokenizer.end]}
        storage.write_json(directory / GENERATION, {**self.sampling.generation_config(), **ends})
        self._say_how_it_ends(directory)

    @torch.no_grad()
    def _drift(self, apart: Transformer, joined: Transformer) -> float:
        device = apart.embedding.weight.device
        tokens = self.validation.rows([0]).tokens[:, : min(DRIFT_TOKENS, self.training.context_length)].to(device)
        training = apart.training
        apart.eval()
        found = lora.drift(apart, joined.to(device), tokens)
        apart.train(training)
        return found


def training_table(record: Mapping[str, Any]) -> Table:
    """Tell of a training what its record holds."""
    rows = {"steps": record["steps"], "seconds": round(record["seconds"], 1), "best step": record["chosen_step"]}
    if "merge_drift" in record:
        rows["largest change of a logit by merging the adapter"] = record["merge_drift"]
    return Table.of(rows)
