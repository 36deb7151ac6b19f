"""Choose what is left "auto": the shape of the model, the steps, the rates, and say what they will cost.

The choice rests on measured sweeps (benchmarks/RESULTS.md); docs/planning.md tells the reasoning and the formulas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from textus.errors import ConfigError, CorpusError
from textus.model.config import ModelConfig
from textus.objectives.config import ObjectiveConfig
from textus.report import Shown, Table, number
from textus.training import presets, ramp
from textus.training.config import ModelSettings, TrainConfig
from textus.training.cost import memory, share, tokens_per_second
from textus.training.extend import extended
from textus.training.machine import Machine
from textus.training.reading import continuing, reading
from textus.training.recipe import Recipe

LADDER = (
    (64, 2), (64, 3), (96, 3), (96, 4), (128, 4), (160, 4), (192, 4), (224, 5), (256, 6), (320, 6), (384, 7), (512, 8),
    (640, 10), (768, 12), (1024, 16), (1280, 20), (1536, 24),
)  # fmt: skip
"""Shapes to choose from: hidden size and layers."""
VALIDATION_TOKENS = 8_192, 131_072
"""The fewest and the most that a measurement during training is of, unless told otherwise."""
BEST_EPOCHS = 5.0
"""Where time allows more passes over the text, a larger model does better than more passes."""
MOST_PARAMETERS_PER_TOKEN = 12.0
"""No more parameters than this for each token of unique text, whatever the time."""
MOST_EPOCHS = 16
"""More passes than this teach a model of these sizes nothing but the text itself."""
DEFAULT_MINUTES = 10.0
EVALUATIONS = 20
MOST_RECORDED = 2e13
"""Operations of a micro-batch up to which recording pays: a GPU takes longer for more than Python does to send them."""
RESERVE = 0.06
"""The part of the time that validation, checkpoints and a slower moment of the machine may take."""


@dataclass(frozen=True)
class TextSize:
    """What planning needs to know of the text."""

    training_tokens: int
    validation_tokens: int
    longest_context: int
    """Longest context for which the training part still fills a window."""
    vocab_size: int


@dataclass(frozen=True)
class Plan(Shown):
    """What will be trained, and what that is expected to take."""

    model: ModelConfig
    recipe: Recipe
    tokens: int
    """Tokens that will be asked, repeats included."""
    epochs: float
    seconds: float
    """Expected time of training, validation included."""
    memory_bytes: int
    """Expected peak memory of the process (on a GPU: of the device)."""
    notes: tuple[str, ...] = ()
    """What a person should know before the start."""

    def table(self) -> Table:
        """Return the plan for people."""
        model, recipe = self.model, self.recipe
        return Table.of(
            {
                "model": f"{model.num_layers} layers x {model.hidden_size}, {model.num_heads} heads",
                "parameters": model.num_parameters(),
                "vocabulary": model.vocab_size,
                "context": _context_words(model),
                **({"starts from": recipe.start_from} if recipe.start_from else {}),
                "steps": recipe.steps,
                "tokens a step": recipe.rows(model.context_length) * model.context_length,
                "tokens in all": self.tokens,
                "epochs": round(self.epochs, 2),
                "optimizer": f"{recipe.optimizer}, rate {number(recipe.learning_rate)}, weight decay "
                f"{number(recipe.weight_decay)}, dropout {number(model.dropout)}",
                "device": f"{recipe.device}, {recipe.precision}"
                + (f", {recipe.threads} threads" if recipe.device == "cpu" else ""),
                "expected time": _clock(self.seconds),
                "expected memory": f"{self.memory_bytes / 2**20:,.0f} MiB",
            }
        )

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """Return the plan and its notes as lines."""
        return "\n".join([self.table().text(), *(f"note: {note}" for note in self.notes)])

    def as_dict(self) -> dict[str, Any]:
        """Return the plan for JSON."""
        return {
            "model": dict(vars(self.model)),
            "training": dict(vars(self.recipe)),
            "parameters": self.model.num_parameters(),
            "tokens": self.tokens,
            "epochs": self.epochs,
            "seconds": self.seconds,
            "memory_bytes": self.memory_bytes,
            "notes": list(self.notes),
        }


def plan(
    text: TextSize,
    model: ModelSettings,
    training: TrainConfig,
    machine: Machine,
    objective: ObjectiveConfig = ObjectiveConfig(),  # noqa: B008 - frozen
    start: ModelConfig | None = None,
) -> Plan:
    """Choose everything that is "auto"; `start` is the shape of the model that training goes on from, if it does.

    Raises `ConfigError` or `CorpusError` for settings that cannot work together.
    """
    context = _context(text, model, machine, start)
    if start:
        shapes = [continuing(extended(start, model, context), objective)]
    else:
        shapes = [reading(_shape(text, model, context, rung), model, objective) for rung in LADDER]
    if len(set(shapes)) > 1:
        config = min(shapes, key=lambda shape: _misfit(text, shape, training, machine))
    else:
        config = shapes[0]
    tokens = _tokens(text, config, training, machine)
    return settle(text, config, model, training, machine, tokens)


def settle(
    text: TextSize, config: ModelConfig, model: ModelSettings, training: TrainConfig, machine: Machine, tokens: float
) -> Plan:
    """Choose the rates and counts for a model of a known shape that is to see about `tokens` tokens."""
    batch = _batch_tokens(tokens, machine) if training.batch_tokens == "auto" else training.batch_tokens
    rows = max(1, round(batch / config.context_length))
    batch = rows * config.context_length
    mean_batch = batch * ramp.mean_share(training.batch_ramp, training.batch_start)
    steps = max(1, round(tokens / mean_batch)) if training.steps == "auto" else training.steps
    shown = ramp.rows_before(steps, rows, round(training.batch_ramp * steps), training.batch_start)
    tokens = shown * config.context_length
    epochs = tokens / text.training_tokens
    if model.dropout == "auto":
        config = replace(config, dropout=presets.dropout(machine, epochs))
    warmup = min(steps - 1, max(10, min(steps // 5, 500))) if training.warmup_steps == "auto" else training.warmup_steps
    if warmup >= steps and steps > 1:
        raise ConfigError(
            f"training.warmup_steps is {warmup}, and there are {steps} steps",
            hint=f"set training.warmup_steps to {steps // 10} or so, or raise training.steps",
        )
    optimizer = presets.optimizer(config, batch, machine) if training.optimizer == "auto" else training.optimizer
    planned = {
        "steps": steps,
        "batch_tokens": batch,
        "micro_batch_tokens": _micro_tokens(batch, config, training, machine),
        "optimizer": optimizer,
        "learning_rate": presets.learning_rate(optimizer, config, continued=bool(training.start_from))
        if training.learning_rate == "auto"
        else training.learning_rate,
        "weight_decay": presets.weight_decay(machine, epochs)
        if training.weight_decay == "auto"
        else training.weight_decay,
        "beta2": _beta2(batch) if training.beta2 == "auto" else training.beta2,
        "warmup_steps": min(warmup, steps - 1),
        "precision": machine.precision,
        "device": machine.device,
        "threads": machine.threads,
        "compile": (compiles := _compile(training, machine, steps)),
        "record": _record(training, config, machine, batch, compiles == "on"),
        "recompute": "off" if training.recompute == "auto" else training.recompute,
        **_validation(steps, tokens, training),
        "checkpoint_every": max(1, steps // EVALUATIONS)
        if training.checkpoint_every == "auto"
        else training.checkpoint_every,
    }
    recipe = Recipe(**{**vars(training), **planned})
    needs = memory(config, recipe, machine).total
    if training.recompute == "auto" and not _fits(needs, machine):
        recipe = replace(recipe, recompute="blocks")
        needs = memory(config, recipe, machine).total
    seconds = tokens / tokens_per_second(config, machine) * (1 + RESERVE)
    seconds *= 4 / 3 if recipe.recompute == "blocks" else 1
    made = Plan(config, recipe, tokens, epochs, seconds, needs)
    return _with_notes(made, text, machine)


def retime(
    made: Plan, text: TextSize, model: ModelSettings, training: TrainConfig, machine: Machine, speed: float
) -> Plan:
    """Return the plan with its steps fitted to a measured `speed` in tokens a second."""
    steps = made.recipe.steps
    if training.steps == "auto":
        mean_batch = made.recipe.batch_tokens * ramp.mean_share(training.batch_ramp, training.batch_start)
        affordable = _minutes(training) * 60 * (1 - RESERVE) * speed / mean_batch
        steps = max(1, int(min(affordable, _most_tokens(text) / mean_batch)))
    fixed = {"batch_tokens": made.recipe.batch_tokens, "steps": steps}
    again = settle(text, made.model, model, _replace(training, fixed), machine, steps * made.recipe.batch_tokens)
    seconds = again.tokens / speed / (1 - RESERVE)
    return Plan(again.model, again.recipe, again.tokens, again.epochs, seconds, again.memory_bytes, again.notes)


def _replace(training: TrainConfig, changes: dict[str, Any]) -> TrainConfig:
    return TrainConfig(**{**vars(training), **changes})


def _minutes(training: TrainConfig) -> float:
    return DEFAULT_MINUTES if training.minutes == "auto" else training.minutes


def _most_tokens(text: TextSize) -> float:
    return MOST_EPOCHS * text.training_tokens


def _tokens(text: TextSize, config: ModelConfig, training: TrainConfig, machine: Machine) -> float:
    """Return the tokens that steps, or time and repeats, allow."""
    if training.steps != "auto":
        batch = training.batch_tokens if training.batch_tokens != "auto" else _batch_tokens(math.inf, machine)
        return training.steps * batch
    affordable = _minutes(training) * 60 * (1 - RESERVE) * tokens_per_second(config, machine)
    return min(affordable, _most_tokens(text))


def _misfit(text: TextSize, config: ModelConfig, training: TrainConfig, machine: Machine) -> float:
    """Return how far a shape's size is from the best one for the arithmetic that it can be given, in logarithms.

    The best size `N` for `C` operations sees `C / 6N` tokens: 3.6 for each parameter in the minutes of a CPU, rising to
    the 20 of Hoffmann et al. (2022) at their scale. Where that is more than `BEST_EPOCHS` passes over the text, `N`
    grows until it is not (sweeps in benchmarks/RESULTS.md).
    """
    operations = _tokens(text, config, training, machine) * config.flops_per_token()
    if training.steps == "auto":
        operations = _minutes(training) * 60 * machine.flops * share(config, machine)
    per_parameter = min(20.0, 3.6 * math.pow(operations / 2e13, 0.16))
    best = math.sqrt(operations / 6 / per_parameter)
    best = max(best, operations / 6 / (BEST_EPOCHS * text.training_tokens))
    best = min(best, MOST_PARAMETERS_PER_TOKEN * text.training_tokens)
    return abs(math.log(config.num_matmul_parameters() / best))


def _context(text: TextSize, model: ModelSettings, machine: Machine, start: ModelConfig | None) -> int:
    if model.context_length == "auto" and start:
        return min(start.context_length, text.longest_context)
    if model.context_length == "auto":
        wanted = 256 if machine.device == "cpu" else 1024
        while wanted > 16 and wanted > text.longest_context // 4:
            wanted //= 2
        if wanted > text.longest_context:
            raise CorpusError(
                f"the training part has only {text.training_tokens} tokens", hint="give more text: 100 kB at the least"
            )
        return wanted
    if model.context_length > text.longest_context:
        raise CorpusError(
            f"model.context_length is {model.context_length}, and the training part has {text.training_tokens} tokens",
            hint=f"set model.context_length to {text.longest_context} or less, or give more text",
        )
    return model.context_length


def _shape(text: TextSize, model: ModelSettings, context: int, rung: tuple[int, int]) -> ModelConfig:
    """Fill in one rung of the ladder around what was set."""
    if model.rope_scaling not in ("auto", "none"):
        raise ConfigError(
            f"model.rope_scaling={model.rope_scaling} stretches positions that a model has learnt, and none is given",
            hint="set training.start_from to the directory of one, or model.rope_theta for a model from scratch",
        )
    hidden = rung[0] if model.hidden_size == "auto" else model.hidden_size
    head = _head_size(hidden, model)
    heads = max(1, hidden // head) if model.num_heads == "auto" else model.num_heads
    return ModelConfig(
        vocab_size=text.vocab_size,
        context_length=context,
        num_layers=rung[1] if model.num_layers == "auto" else model.num_layers,
        hidden_size=hidden,
        num_heads=heads,
        num_kv_heads=heads if model.num_kv_heads == "auto" else model.num_kv_heads,
        head_size=head,
        intermediate_size=_multiple(hidden * 8 / 3, 32)
        if model.intermediate_size == "auto"
        else model.intermediate_size,
        rope_theta=10000.0 if model.rope_theta == "auto" else model.rope_theta,
        tied_embeddings=True if model.tied_embeddings == "auto" else model.tied_embeddings,
        dropout=0.0 if model.dropout == "auto" else model.dropout,
    )


def _head_size(hidden: int, model: ModelSettings) -> int:
    if model.head_size != "auto":
        return model.head_size
    if model.num_heads != "auto":
        return max(2, hidden // model.num_heads // 2 * 2)
    return min(hidden, 32 if hidden < 256 else 64 if hidden < 1024 else 128)


def _multiple(value: float, of: int) -> int:
    return max(of, round(value / of) * of)


def _batch_tokens(tokens: float, machine: Machine) -> int:
    """Return the tokens of a step, which should grow with the length of the run; a GPU needs many to be busy."""
    wanted = 2048 * math.pow(min(tokens, 2**40) / 3e6, 0.4)
    least, most = (1024, 16_384) if machine.device == "cpu" else (32_768, 524_288)
    return int(min(most, max(least, 2 ** round(math.log2(wanted)))))


def _micro_tokens(batch: int, config: ModelConfig, training: TrainConfig, machine: Machine) -> int:
    if training.micro_batch_tokens != "auto":
        return max(config.context_length, training.micro_batch_tokens)
    most = 8192 if machine.device == "cpu" else 65_536
    return max(config.context_length, min(batch, most))


def _validation(steps: int, tokens: float, training: TrainConfig) -> dict[str, int]:
    """Choose how often a run is measured, and on how much: within the reserve, since reading is a third of learning."""
    fewest, most = VALIDATION_TOKENS
    affordable = 3 * RESERVE * tokens
    size = int(min(most, max(fewest, affordable / EVALUATIONS)))
    size = size if training.evaluate_tokens == "auto" else training.evaluate_tokens
    times = max(1, min(EVALUATIONS, int(affordable / size)))
    every = max(1, steps // times) if training.evaluate_every == "auto" else training.evaluate_every
    return {"evaluate_every": every, "evaluate_tokens": size}


def _beta2(batch: int) -> float:
    """Return the second moment's decay that forgets half of its past in 2.5 million tokens, within [0.95, 0.999]."""
    return round(min(0.999, max(0.95, math.pow(0.5, batch / 2.5e6))), 5)


def _compile(training: TrainConfig, machine: Machine, steps: int) -> Literal["on", "off"]:
    if training.compile != "auto":
        return training.compile
    return "on" if machine.device == "cuda" and steps >= 200 else "off"


def _record(
    training: TrainConfig, config: ModelConfig, machine: Machine, batch: int, compiles: bool
) -> Literal["on", "off"]:
    if training.record != "auto":
        return training.record
    operations = _micro_tokens(batch, config, training, machine) * config.flops_per_token()
    return "on" if machine.device == "cuda" and compiles and operations <= MOST_RECORDED else "off"


def _fits(memory_bytes: int, machine: Machine) -> bool:
    return memory_bytes <= machine.memory_bytes + machine.base_bytes


def _with_notes(made: Plan, text: TextSize, machine: Machine) -> Plan:
    notes = []
    if made.recipe.recompute == "blocks":
        notes.append("blocks are computed again in the backward pass (training.recompute), to save memory for time")
    if not _fits(made.memory_bytes, machine):
        notes.append(
            f"this needs about {number(made.memory_bytes // 2**20)} MiB, and {number(machine.memory_bytes // 2**20)} "
            "MiB are free: lower training.micro_batch_tokens or the model's size"
        )
    if made.epochs > MOST_EPOCHS:
        notes.append(f"{made.epochs:.0f} passes over the same text: expect the model to learn it by heart")
    if text.training_tokens < 200_000:
        notes.append("this is little text: expect a model that imitates it rather than one that writes")
    return Plan(made.model, made.recipe, made.tokens, made.epochs, made.seconds, made.memory_bytes, tuple(notes))


def _context_words(model: ModelConfig) -> str:
    if model.rope_scaling == "none":
        return number(model.context_length)
    return (
        f"{number(model.context_length)}, positions stretched {number(model.rope_factor)} times ({model.rope_scaling})"
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
