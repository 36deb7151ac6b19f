"""What a step leaves in the metrics: the numbers of one line, and the few words beside the bar."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from textus.model.config import ModelConfig
from textus.training import machine
from textus.training.loop import Step, TrainState
from textus.training.recipe import Recipe


def line_of(
    step: Step,
    validation: float | None,
    model: ModelConfig,
    recipe: Recipe,
    world: int = 1,
    *,
    has_perplexity: bool = True,
) -> dict[str, Any]:
    """Return the numbers of a step that `world` devices have taken together.

    Of a loss on hidden tokens the exponential is no perplexity.
    """
    line: dict[str, Any] = {
        "step": step.number,
        "loss": step.loss,
        "learning_rate": step.learning_rate,
        "gradient_norm": step.gradient_norm,
        "tokens": step.tokens,
        "seconds": round(step.seconds, 4),
        "waited": round(step.waited, 5),
        **_speed(step, model, recipe, world),
    }
    if has_perplexity and step.loss < 50:
        line["perplexity"] = math.exp(step.loss)
    if validation is not None:
        line["validation_loss"] = validation
        if has_perplexity:
            line["validation_perplexity"] = math.exp(min(validation, 50.0))
    if step.verdict.judgement != "ok":
        line |= {"judgement": step.verdict.judgement, "reason": step.verdict.reason}
    return line


def _speed(step: Step, model: ModelConfig, recipe: Recipe, world: int) -> dict[str, Any]:
    """Say how fast a step was, and of what the devices can do where that is known (model flops utilisation).

    Tokens that are read count whether asked or not, and attention as if every window were one document.
    """
    flops = step.positions * model.flops_per_token() / step.seconds
    peak = machine.peak_flops(machine.device_name(recipe.device), recipe.precision)
    return {
        "tokens_per_second": round(step.positions / step.seconds, 1),
        "tflops": float(f"{flops / 1e12:.4g}"),
        **({} if peak is None else {"mfu": round(flops / (peak * world), 4)}),
        "peak_memory_bytes": machine.peak_bytes(recipe.device),
    }


def note(line: Mapping[str, Any], state: TrainState) -> str:
    """Return the words beside the bar."""
    best = f"  validation {state.best_loss:.3f}" if state.best_step else ""
    share = f" ({line['mfu']:.0%} of the device)" if "mfu" in line else ""
    speed = f"{line['tokens_per_second']:,.0f} tok/s  {line['tflops']:.3g} TFLOP/s{share}"
    memory = f"{line['peak_memory_bytes'] / 2**30:.1f} GiB"
    return f"loss {line['loss']:.3f}{best}  lr {line['learning_rate']:.1e}  {speed}  {memory}"
