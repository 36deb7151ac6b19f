"""Train small models with and without steps of the corpus stage, and say what each step does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from textus import config as settings_module
from textus import fingerprint, storage
from textus.checkpoint import checkpoint
from textus.corpus.contamination.grams import training_grams
from textus.errors import ConfigError, TextusError
from textus.evaluation.ablation import Ablation, Arm, Change, read_changes
from textus.evaluation.documents import frame
from textus.evaluation.estimate import Units
from textus.evaluation.paired import paired
from textus.evaluation.perplexity import evaluate
from textus.evaluation.pool import Pool, build_pool
from textus.progress import SILENT, Progress
from textus.training.plan import Plan
from textus.verbs.lock import locked
from textus.verbs.plan import planned
from textus.verbs.settings import FILE, RunSettings, resolve
from textus.verbs.stages import Stages
from textus.verbs.train import learn, prepare

POOL, RESULT, SCORES = "pool", "ablation.json", "held_out.json"
SCORES_VERSION = 1
"""Raised whenever the same model and texts give other sums."""
STAGES = ("corpus", "tokenizer", "shards")


def ablate(
    inputs: str | Path | Sequence[str | Path] = (),
    vary: str | Sequence[str] = (),
    *,
    held_out: str | Path | Sequence[str | Path] = (),
    held_out_mb: float = 0.5,
    minutes: float = 2.0,
    seeds: int = 3,
    out: str | Path = "",
    settings: RunSettings | Mapping[str, Any] = RunSettings(),  # noqa: B008 - frozen
    progress: Progress = SILENT,
) -> Ablation:
    """Measure what steps of the corpus stage are worth: `seeds` small models of `minutes` each, with and without each.

    `vary` names changes, as in "corpus.deduplicate=none,corpus.filter.profile=none"; every arm changes one of them, and
    an arm more changes none. All are measured on `held_out`, or on a share of the input that is held out before any
    step. What was trained is kept in the directory: a second call makes only what is missing.
    """
    changes = (Change(), *read_changes([vary] if isinstance(vary, str) else vary))
    if seeds < 2:
        raise ConfigError(f"{seeds} seeds tell nothing of chance", hint="take three, two at the least")
    if held_out_mb <= 0:
        raise ConfigError(f"{held_out_mb} megabytes to measure on", hint="give some: --held-out-mb 0.5")
    base = resolve(inputs, out, settings)
    directory = Path(base.out) if base.out else base.directory.with_name(f"{base.directory.name}_ablation")
    if not base.inputs:
        raise ConfigError("no text was given", hint="name files or folders: textus ablate my_texts/ --vary ...")
    if (directory / FILE).exists():
        raise ConfigError(f"{directory}: is a run's directory", hint="choose another -o for the ablation")
    for change in changes[1:]:
        _refuse_idle(change, base)
    given = (held_out,) if isinstance(held_out, str | Path) else tuple(held_out)
    with locked(directory):
        pool = build_pool(
            base.inputs, given or base.corpus.validation, directory / POOL, base.corpus,
            most_bytes=round(held_out_mb * 1e6), progress=progress,
        )  # fmt: skip
        bench = _Bench(directory, _common(base, pool, minutes), pool, progress)
        found = bench.run(changes, [base.training.seed + number for number in range(seeds)])
        report = found.report()
        storage.write_text(directory / "report.html", report.html())
        storage.write_json(directory / "report.json", report.as_dict())
        storage.write_json(directory / RESULT, found.as_dict())
    return found


def _common(base: RunSettings, pool: Pool, minutes: float) -> RunSettings:
    """Return what all arms share: the pool to learn from, the held-out text, and weights that nothing has chosen."""
    changes: dict[str, Any] = {
        "inputs": (str(pool.inputs),),
        "corpus.text_column": "text",
        "corpus.encoding": "auto",
        "corpus.validation": (str(pool.held_out),),
        "corpus.test_fraction": 0.0,
        "training.select": "last",
    }
    if base.training.minutes == "auto":
        changes["training.minutes"] = minutes
    return settings_module.replace(base, changes)


class _Bench:
    """The arms under way in one directory."""

    def __init__(self, directory: Path, common: RunSettings, pool: Pool, progress: Progress) -> None:
        self.directory, self.common, self.pool, self.progress = directory, common, pool, progress

    def run(self, changes: Sequence[Change], seeds: Sequence[int]) -> Ablation:
        """Make every corpus, then every model, seed by seed, so that a slower hour of the machine meets all arms."""
        full = Stages(self._settings(changes[0], self.common), self.progress)
        plan = self._planned(full, len(changes) * len(seeds))
        # One size of vocabulary for all: that which suits the arm in which nothing is changed.
        sized = settings_module.replace(self.common, {"tokenizer.vocab_size": full.tokenizer.vocab_size})
        arms = [full, *(Stages(self._settings(change, sized), self.progress) for change in changes[1:])]
        sources = self._sources(arms, changes)
        units: dict[int, list[Units]] = {place: [] for place in range(len(arms))}
        with self.progress.task("models", len(arms) * len(seeds), "models") as task:
            for seed in seeds:
                for place, stages in enumerate(sources):
                    units[place].append(self._model(stages, plan, seed))
                    task.advance()
        first, *others = (one for row in units.values() for one in row)
        for other in others:
            paired(first, other)
        found = tuple(
            Arm(change, stages.directory, self._facts(stages, plan), np.stack([one.nats for one in units[place]]))
            for place, (change, stages) in enumerate(zip(changes, sources, strict=True))
        )
        told = _told(plan, full.settings)
        return Ablation(self.directory, found, tuple(seeds), first.num_bytes, first.kind, self.pool.facts, told)

    def _settings(self, change: Change, common: RunSettings) -> RunSettings:
        return settings_module.replace(_changed(change, common), {"out": str(self.directory / change.folder)})

    def _planned(self, full: Stages, count: int) -> Plan:
        made = planned(full)
        if (made.model.attention, made.model.prediction_offset) != ("causal", 1):
            raise ConfigError(
                f"objective.name is {full.settings.objective.name}: models that read both ways give no bits per byte",
                hint="what a step is worth can be measured with objective.name=causal",
            )
        self.progress.say(f"{count} models, each:\n{made.text()}")
        # Nothing is chosen by the validation loss, so that it is looked at only in the end.
        return replace(made, recipe=replace(made.recipe, select="last", evaluate_every=made.recipe.steps))

    def _sources(self, arms: Sequence[Stages], changes: Sequence[Change]) -> list[Stages]:
        """Return where each arm's models are made: where its text is that of the arm `full`, they are its models."""
        full, found = arms[0], list(arms)
        text = _train_ids(full)
        for place, (change, stages) in enumerate(zip(changes, arms, strict=True)):
            if place and stages.settings.mixture == full.settings.mixture and _train_ids(stages) == text:
                self.progress.say(f"{change.name}: changes nothing in the training text")
                found[place] = full
        return found

    def _facts(self, stages: Stages, plan: Plan) -> dict[str, Any]:
        split, corpus = stages.shards.split("train"), stages.corpus
        texts = [document.text for document in self.pool.held_out_documents()]
        runs = training_grams(corpus, stages.settings.corpus.contamination.size, self.progress).coverage(texts)
        return {
            "documents": split.num_documents,
            "megabytes": split.num_bytes / 1e6,
            "tokens": split.num_tokens,
            "epochs": plan.tokens / split.num_tokens,
            "vocabulary": stages.tokenizer.vocab_size,
            "bytes a token": split.num_bytes / split.num_tokens,
            "held out, seen": corpus.record()["leakage"]["share of documents"],
            "runs of words, seen": float(np.average(runs, weights=[len(text) for text in texts])),
        }

    def _model(self, stages: Stages, plan: Plan, seed: int) -> Units:
        """Train the model of one seed, unless it is there, and measure it on what is held out."""
        place = stages.directory / f"seed-{seed}"
        changes = {"out": str(place), "training.seed": seed}
        _share_stages(stages, place)
        own = Stages(settings_module.replace(stages.settings, changes), self.progress)
        recipe = replace(plan.recipe, seed=seed)
        model = replace(plan.model, vocab_size=own.tokenizer.vocab_size)
        run = prepare(own, replace(plan, recipe=recipe, model=model))
        if not storage.is_fresh(place, checkpoint.KIND, run.model_key):
            run.refuse_other_settings()
            storage.write_text(place / FILE, settings_module.to_toml(own.settings))
            learn(run, own)
        else:
            run.tidy()
        return self._measured(place, run.model_key, recipe.device)

    def _measured(self, place: Path, model_key: str, device: str) -> Units:
        key = fingerprint.of_parts([str(SCORES_VERSION), model_key, self.pool.fingerprint])
        kept = _read_units(place / SCORES, key)
        if kept is not None:
            return kept
        opened = checkpoint.load(place, device=device)
        framed = (frame(opened.tokenizer, document) for document in self.pool.held_out_documents())
        stride = max(1, opened.config.context_length // 2)
        found = evaluate(
            opened.model, opened.tokenizer, framed,
            data=self.pool.fingerprint, stride=stride, progress=self.progress,
        )  # fmt: skip
        units = found.units
        columns = {"nats": units.nats.tolist(), "tokens": units.tokens.tolist(), "bytes": units.num_bytes.tolist()}
        storage.write_json(
            place / SCORES,
            {"key": key, "scores": [score.as_dict() for score in found.scores], "kind": units.kind, **columns},
        )
        return units


def _changed(change: Change, settings: RunSettings) -> RunSettings:
    return settings_module.override(settings, *change.items)


def _refuse_idle(change: Change, base: RunSettings) -> None:
    """Raise `ConfigError` for a change that sets what is set already, before anything is read."""
    changed = _changed(change, base)
    if (changed.corpus, changed.mixture) == (base.corpus, base.mixture):
        raise ConfigError(
            f"`{change.name}` changes nothing: it is set so for all arms",
            hint="vary a step that is on, or switch it on beside --vary",
        )


def _train_ids(stages: Stages) -> str:
    return fingerprint.of_parts(document.id for document in stages.corpus.documents("train"))


def _share_stages(stages: Stages, place: Path) -> None:
    """Let the seeds of an arm share its corpus, tokenizer and shards; where links cannot be, each makes its own."""
    stages.shards  # noqa: B018 - made here, where all seeds find it
    place.mkdir(parents=True, exist_ok=True)
    for name in STAGES:
        if not (place / name).exists():
            with suppress(OSError):
                (place / name).symlink_to(Path("..") / name, target_is_directory=True)


def _read_units(path: Path, key: str) -> Units | None:
    try:
        values = storage.read_json(path)
        if values["key"] != key:
            return None
        return Units(values["kind"], *(np.array(values[name]) for name in ("nats", "tokens", "bytes")))
    except (TextusError, KeyError, TypeError):
        return None


def _told(plan: Plan, settings: RunSettings) -> dict[str, Any]:
    return {
        "parameters": plan.model.num_parameters(),
        "layers": plan.model.num_layers,
        "hidden size": plan.model.hidden_size,
        "context": plan.model.context_length,
        "steps": plan.recipe.steps,
        "tokens in all": plan.tokens,
        "learning rate": plan.recipe.learning_rate,
        "objective": settings.objective.name,
    }
