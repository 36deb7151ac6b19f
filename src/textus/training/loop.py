"""The training loop: a generator that yields one `Step` for each optimizer step, and knows no logs, files or callbacks.

Everything random in a step is drawn from (seed, step), and the data from the step's number: the position in a run is
one integer, and a run that resumes at it goes on exactly as if it had not stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import torch

from textus.dataset.loader import Loader
from textus.model.transformer import Transformer
from textus.objectives.objective import Objective
from textus.training.monitor import Monitor, Verdict
from textus.training.optimizer import adamw
from textus.training.precision import Precision
from textus.training.recipe import Recipe
from textus.training.schedule import factor


@dataclass(frozen=True)
class Step:
    """What happened in one optimizer step."""

    number: int
    """Counted from 1."""
    loss: float
    """Nats per asked token, before the update."""
    learning_rate: float
    gradient_norm: float
    """Global L2 norm before clipping."""
    tokens: int
    """Tokens asked."""
    seconds: float
    """Wall time of the step, the wait for data included, whatever its reader does between steps not."""
    waited: float
    """Seconds of them spent waiting for data."""
    verdict: Verdict
    """Anything but "ok" means that the weights were left as they were."""


@dataclass
class TrainState:
    """All that a run carries from one step to the next, beside the weights."""

    optimizer: torch.optim.AdamW
    scaler: torch.amp.GradScaler
    monitor: Monitor
    step: int = 0
    """Steps done."""
    tokens: int = 0
    """Tokens asked so far."""
    seconds: float = 0.0
    """Seconds of training so far, over all its sittings."""
    first_loss: float = math.inf
    left_out: set[int] = field(default_factory=set)
    """Steps whose batch a rollback has ruled out."""
    best_step: int = 0
    best_loss: float = math.inf
    """Lowest validation loss so far, and after which step."""
    chosen_step: int = 0
    """The step whose weights the run has left in the model; 0 before its end."""

    @classmethod
    def start(cls, model: Transformer, recipe: Recipe) -> TrainState:
        """Return the state before the first step."""
        optimizer = adamw(
            model,
            learning_rate=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
            beta1=recipe.beta1,
            beta2=recipe.beta2,
            epsilon=recipe.epsilon,
        )
        scaler = Precision(recipe.precision, recipe.device).scaler()
        return cls(optimizer, scaler, Monitor(recipe.spike_sigmas, recipe.spike_window))

    def values(self) -> dict[str, Any]:
        """Return everything but the optimizer's tensors, as JSON-like values."""
        return {
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "first_loss": self.first_loss,
            "left_out": sorted(self.left_out),
            "best_step": self.best_step,
            "best_loss": self.best_loss,
            "monitor": self.monitor.state(),
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Take up what `values` returned."""
        for name in ("step", "tokens", "seconds", "first_loss", "best_step", "best_loss"):
            setattr(self, name, values[name])
        self.left_out = set(values["left_out"])
        self.monitor.restore(values["monitor"])
        self.scaler.load_state_dict(values["scaler"])


def train(
    model: Transformer, loader: Loader, objective: Objective, recipe: Recipe, state: TrainState
) -> Generator[Step]:
    """Train `model` in place from `state.step` to `recipe.steps`, yielding after each step.

    A step whose loss or gradient is not finite, or is a spike, changes no weight; its reader decides what then.
    """
    model.train()
    if recipe.compile == "on":
        model.encode = torch.compile(model.encode, dynamic=False)  # type: ignore[method-assign]
    windows = loader.prefetch(state.step, recipe.steps)
    try:
        start = time.perf_counter()
        for window in windows:
            waited = time.perf_counter() - start
            number = state.step + 1
            generator = seed_step(recipe.seed, number)
            batch = objective.batch(window, generator)
            rate = recipe.learning_rate * factor(
                recipe.schedule,
                number,
                recipe.steps,
                warmup_steps=recipe.warmup_steps,
                decay_fraction=recipe.decay_fraction,
                final=recipe.final_learning_rate,
            )
            loss = _accumulate(model, objective, batch, recipe, state)
            norm, verdict = _update(model, recipe, state, loss, rate, number)
            state.step = number
            state.tokens += batch.count
            seconds = time.perf_counter() - start
            state.seconds += seconds
            yield Step(number, loss, rate, norm, batch.count, seconds, waited, verdict)
            start = time.perf_counter()
    finally:
        windows.close()
        if recipe.compile == "on":
            del model.encode  # the class has the plain one
            torch.compiler.reset()  # else the next model here finds the cache full


def seed_step(seed: int, step: int) -> torch.Generator:
    """Seed dropout and the objective's draws for one step, so that no random state needs to be carried or saved."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9) % 2**63
    torch.manual_seed(mixed)
    return torch.Generator().manual_seed(mixed)


def _accumulate(model: Transformer, objective: Objective, batch: Any, recipe: Recipe, state: TrainState) -> float:
    """Add up the gradient of the step's mean loss, micro-batch by micro-batch; exact for any way of cutting it."""
    autocast = Precision(recipe.precision, recipe.device)
    total = torch.zeros((), device=recipe.device)
    for micro in batch.split(recipe.micro_rows(model.config.context_length)):
        with autocast.autocast():
            loss = objective.loss(model, micro.to(recipe.device, non_blocking=True))
        state.scaler.scale(loss.total / batch.count).backward()
        total += loss.total.detach()
    return float(total) / int(batch.count)


def _update(
    model: Transformer, recipe: Recipe, state: TrainState, loss: float, rate: float, number: int
) -> tuple[float, Verdict]:
    """Clip, judge, and update where the judgement is good; return the gradient's norm and the verdict."""
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.scaler.unscale_(state.optimizer)
    limit = math.inf if recipe.gradient_clip == "off" else recipe.gradient_clip
    norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), limit))
    state.first_loss = min(state.first_loss, loss) if number == 1 else state.first_loss
    if number in state.left_out:
        verdict = state.monitor.leave_out()
    elif state.scaler.is_enabled() and math.isfinite(loss) and not math.isfinite(norm) and state.scaler.get_scale() > 1:
        verdict = Verdict("overflow", "fp16 gradient overflow: the loss scale is halved")
    else:
        verdict = state.monitor.judge(loss, norm)
    if verdict.judgement == "ok":
        state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)
    return norm, verdict
