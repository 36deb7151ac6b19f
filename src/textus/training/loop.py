"""The training loop: a generator that yields one `Step` for each optimizer step, and knows no logs, files or callbacks.

Everything random in a step is drawn from (seed, step), and the data from the step's number: the position in a run is
one integer, and a run that resumes at it goes on exactly as if it had not stopped.

A GPU is never waited for: while it works on a step, the next one is sent to it, and what came of a step is read when
the one after it has been sent. So the GPU judges a step itself, by limits that the monitor sets from the steps before
the last; it would be given the same ones after resuming.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from textus.dataset.loader import Loader, ahead
from textus.model.transformer import Transformer
from textus.objectives.objective import Objective
from textus.training import aids
from textus.training.averaging import Average
from textus.training.compile import compiled
from textus.training.monitor import Limits, Monitor, Verdict
from textus.training.muon import Muon
from textus.training.optimizer import build
from textus.training.precision import Precision
from textus.training.question import Question, ask, step_seed
from textus.training.rates import set_rates
from textus.training.recipe import Recipe
from textus.training.recompute import recomputed
from textus.training.recorded import alone
from textus.training.together import Alone


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
    positions: int
    """Tokens read, asked or not."""
    seconds: float
    """Wall time of the step, the wait for data included; what its reader does counts only where the device works on."""
    waited: float
    """Seconds of them spent waiting for data."""
    verdict: Verdict
    """Anything but "ok" means that the weights were left as they were."""


@dataclass
class TrainState:
    """All that a run carries from one step to the next, beside the weights."""

    optimizer: torch.optim.AdamW | Muon
    scaler: torch.amp.GradScaler
    monitor: Monitor
    average: Average
    step: int = 0
    """Steps done."""
    launched: int = 0
    """The step that the weights are of: a GPU is up to one ahead of what it has told."""
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
        """Return the state before the first step, and give the model the aids that it learns with."""
        aids.attach(model, recipe)
        scaler = Precision(recipe.precision, recipe.device).scaler()
        monitor = Monitor(recipe.spike_sigmas, recipe.spike_window)
        return cls(build(model, recipe), scaler, monitor, Average(model, recipe))

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
        self.launched = self.step
        self.left_out = set(values["left_out"])
        self.monitor.restore(values["monitor"])
        self.scaler.load_state_dict(values["scaler"])


def train(
    model: Transformer,
    loader: Loader,
    objective: Objective,
    recipe: Recipe,
    state: TrainState,
    settles_at: Callable[[int], bool] = lambda step: False,
    crew: Alone | None = None,
) -> Generator[Step]:
    """Train from `state.step` to `recipe.steps`, yielding after each update; weights, optimizer and state change.

    A step whose loss or gradient is not finite, or is a spike, changes no weight; its reader decides what then. On a
    GPU the weights may be of the step after the one that is yielded, `state.launched`; after the last one, and those
    for which `settles_at` is true, they are not. `crew` takes the step together with other processes.
    """
    model.train()
    crew = crew or alone(recipe)
    state.launched = state.step
    sends_ahead = runs_ahead(recipe)
    make = partial(ask, loader, objective, recipe, model.config.context_length)
    questions = ahead(make, state.step + 1, recipe.steps + 1)
    sent: _Sent | None = None
    with ExitStack() as stack:
        if recipe.compile == "on":
            stack.enter_context(compiled(model))
        if recipe.recompute == "blocks":
            stack.enter_context(recomputed(model))
        try:
            start = asked = time.perf_counter()
            for mine in questions:
                waited = time.perf_counter() - asked
                send = _send if sends_ahead else _work
                following = send(model, objective, recipe, state, crew, crew.agree(mine), waited)
                if sent is not None:
                    step, start = sent.arrive(state, start)
                    yield step
                sent = following
                if not sends_ahead or sent.number == recipe.steps or settles_at(sent.number):
                    step, _ = sent.arrive(state, start)
                    sent = None
                    yield step
                    start = time.perf_counter()
                asked = time.perf_counter()
        finally:
            questions.close()
            crew.end()


def runs_ahead(recipe: Recipe) -> bool:
    """Tell whether steps are sent before the last one is known; fp16's search for a loss scale needs to know it."""
    return recipe.device == "cuda" and recipe.precision != "fp16"


@dataclass
class _Sent:
    """A step that the device is at, or has done."""

    question: Question
    rate: float
    waited: float
    limits: Limits | None = None
    """What the device has judged by; None where `verdict` is known."""
    loss: float = math.nan
    norm: float = math.nan
    verdict: Verdict | None = None
    told: Tensor | None = None
    """Loss, norm and whether they were accepted, on their way from the device."""
    arrived: torch.cuda.Event | None = None

    @property
    def number(self) -> int:
        """Return the step's number."""
        return self.question.number

    def arrive(self, state: TrainState, start: float) -> tuple[Step, float]:
        """Wait for what came of the step, enter it in `state`, and return it with the time; it began at `start`."""
        if self.told is not None:
            if self.arrived is not None:
                self.arrived.synchronize()
            self.loss, self.norm, accepted = self.told.tolist()
            left_out = self.number in state.left_out
            self.verdict = (
                state.monitor.leave_out() if left_out else state.monitor.judge(self.loss, self.norm, self.limits)
            )
            assert bool(accepted) == (self.verdict.judgement == "ok"), "device and monitor judge alike"
        assert self.verdict is not None
        now = time.perf_counter()
        state.first_loss = min(state.first_loss, self.loss) if self.number == 1 else state.first_loss
        state.step = self.number
        state.tokens += self.question.count
        state.seconds += now - start
        count, positions = self.question.count, self.question.positions
        step = Step(
            self.number, self.loss, self.rate, self.norm, count, positions, now - start, self.waited, self.verdict
        )
        return step, now


def _work(
    model: Transformer,
    objective: Objective,
    recipe: Recipe,
    state: TrainState,
    crew: Alone,
    question: Question,
    waited: float,
) -> _Sent:
    """Take a step and wait for what comes of it: judge it here, and update where the judgement is good."""
    sent = _Sent(question, set_rates(state.optimizer, recipe, question.number), waited)
    loss, norm = _gradient(model, objective, recipe, state, crew, question)
    sent.loss, sent.norm = float(loss) / question.count, float(norm)
    scaled = state.scaler.is_enabled() and state.scaler.get_scale() > 1
    if question.number in state.left_out:
        sent.verdict = state.monitor.leave_out()
    elif scaled and math.isfinite(sent.loss) and not math.isfinite(sent.norm):
        sent.verdict = Verdict("overflow", "fp16 gradient overflow: the loss scale is halved")
    else:
        sent.verdict = state.monitor.judge(sent.loss, sent.norm)
    if sent.verdict.judgement == "ok":
        state.scaler.step(state.optimizer)
    state.scaler.update()
    crew.clear(state.optimizer)
    state.average.update(question.number)
    state.launched = question.number
    return sent


def _send(
    model: Transformer,
    objective: Objective,
    recipe: Recipe,
    state: TrainState,
    crew: Alone,
    question: Question,
    waited: float,
) -> _Sent:
    """Send a step to the device, which judges and updates without our waiting for it."""
    # the last step has been told of only where nothing is under way, and must make no difference
    limits = state.monitor.limits(without_newest=state.launched == state.step)
    sent = _Sent(question, set_rates(state.optimizer, recipe, question.number), waited, limits)
    total, norm = _gradient(model, objective, recipe, state, crew, question)
    # in float64, as the monitor will compare them
    loss, norm = total.double() / question.count, norm.double()
    accepted = loss.isfinite() & norm.isfinite() & (loss <= limits[0]) & (norm <= limits[1])
    if question.number in state.left_out:
        accepted = torch.zeros_like(accepted)
    optimizer: Any = state.optimizer
    # the fused optimizers of torch leave everything as it is where this is 1
    optimizer.grad_scale, optimizer.found_inf = None, (~accepted).float()
    optimizer.step()
    del optimizer.grad_scale, optimizer.found_inf
    crew.clear(optimizer)
    state.average.update(question.number)
    values = torch.stack([loss, norm, accepted.double()])
    sent.told = values
    if values.device.type == "cuda":
        sent.told = torch.empty(values.shape, dtype=values.dtype, pin_memory=True).copy_(values, non_blocking=True)
        sent.arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        sent.arrived.record()
    state.launched = question.number
    return sent


def _gradient(
    model: Transformer, objective: Objective, recipe: Recipe, state: TrainState, crew: Alone, question: Question
) -> tuple[Tensor, Tensor]:
    """Add up the gradient of the step's mean loss, micro-batch by micro-batch, and clip it.

    Return the sum of the losses and the gradient's norm, on the device. The gradient is exact for any way of cutting.
    """
    torch.manual_seed(step_seed(recipe.seed, question.number, crew.rank))
    precision = Precision(recipe.precision, recipe.device)
    total = torch.zeros((), device=recipe.device)
    for index, part in enumerate(question.parts, 1):
        with crew.part(last=index == len(question.parts)):
            total += crew.take(model, objective, part, question.count, precision, state.scaler)
    state.scaler.unscale_(state.optimizer)
    limit = math.inf if recipe.gradient_clip == "off" else recipe.gradient_clip
    return crew.clip(model, state.optimizer, total, limit)
