"""One model from several of one shape: a mean of their weights, or a point on the arc between two of them.

```
uniform   sum of w_i / n                                             Wortsman et al. 2022, arXiv 2203.05482
linear    sum of c_i w_i / sum of c_i                                the same, by shares
ema       sum of d^(n - i) w_i / sum of d^(n - i),  i = 1 ... n      oldest first, as `training/averaging.py` has it
slerp     (sin((1 - t) a) w_1 + sin(t a) w_2) / sin a                each weight by itself, a the angle between both
```
Sums are in float64, so that neither their order nor the format in which weights are kept tells.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from textus.checkpoint.checkpoint import Checkpoint
from textus.errors import CheckpointError, ConfigError

Method = Literal["uniform", "linear", "slerp", "ema"]
STRAIGHT = 1e-4
"""Below this sine the arc is a line, in which direction being no question."""


def shares(method: Method, count: int, weights: Sequence[float] = (), decay: float = 0.9) -> tuple[float, ...]:
    """Return the share that each of `count` models has in a mean; they add up to 1.

    `weights` are for "linear", `decay` for "ema". Raises `ConfigError` where they do not fit.

    >>> shares("uniform", 4), shares("linear", 2, (3, 1)), shares("ema", 2, decay=0.5)
    ((0.25, 0.25, 0.25, 0.25), (0.75, 0.25), (0.3333333333333333, 0.6666666666666666))
    """
    given = tuple(weights) if method == "linear" else (1.0,) * count
    if method == "ema":
        if not 0 < decay <= 1:
            raise ConfigError(f"a decay of {decay}", hint="give one above 0 and at most 1: 0.9 is usual")
        given = tuple(decay ** (count - 1 - place) for place in range(count))
    if len(given) != count:
        raise ConfigError(f"{len(given)} weights for {count} models", hint="give each model one: --weights 0.7,0.3")
    total = math.fsum(given)
    if not all(map(math.isfinite, given)) or abs(total) < 1e-12:
        raise ConfigError(
            f"weights that add up to {total:g}",
            hint="give finite numbers that do not cancel; they are made to add to 1",
        )
    return tuple(one / total for one in given)


def mean(parts: Iterable[Mapping[str, Tensor]], of_each: Sequence[float]) -> dict[str, Tensor]:
    """Return the mean of weights in float64, by the share that each part has; only one part is in memory at a time.

    >>> mean([{"a": torch.tensor([1.0, 5.0])}, {"a": torch.tensor([3.0, 1.0])}], (0.5, 0.5))
    {'a': tensor([2., 3.], dtype=torch.float64)}
    """
    total: dict[str, Tensor] = {}
    for part, share in zip(parts, of_each, strict=True):
        for name, value in part.items():
            scaled = value.detach().cpu().double() * share
            total[name] = total[name] + scaled if name in total else scaled
    return total


def on_the_arc(one: Mapping[str, Tensor], other: Mapping[str, Tensor], at: float) -> dict[str, Tensor]:
    """Return the weights `at` (0: one, 1: the other) on the arcs between two models, in float64.

    >>> found = on_the_arc({"a": torch.tensor([1.0, 0.0])}, {"a": torch.tensor([0.0, 1.0])}, 0.5)
    >>> [round(value, 6) for value in found["a"].tolist()]
    [0.707107, 0.707107]
    """
    return {
        name: slerp(value.detach().cpu().double(), other[name].detach().cpu().double(), at)
        for name, value in one.items()
    }


def slerp(one: Tensor, other: Tensor, at: float) -> Tensor:
    """Return the point between two vectors on the arc that leads from one to the other; a line where there is none."""
    lengths = float(one.norm() * other.norm())
    cosine = max(-1.0, min(1.0, float((one * other).sum()) / lengths)) if lengths else 1.0
    angle = math.acos(cosine)
    if math.sin(angle) < STRAIGHT:
        return torch.lerp(one, other, at)
    first, second = math.sin((1 - at) * angle) / math.sin(angle), math.sin(at * angle) / math.sin(angle)
    return first * one + second * other


def refuse_other_shapes(first: Checkpoint, other: Checkpoint) -> None:
    """Raise `CheckpointError` where two models cannot be merged, naming what differs."""
    mine, theirs = dataclasses.asdict(first.config), dataclasses.asdict(other.config)
    if wrong := [name for name in mine if mine[name] != theirs[name]]:
        name = wrong[0]
        raise CheckpointError(
            f"{other.directory}: its {name} is {theirs[name]}, and that of {first.directory} {mine[name]}",
            hint="models are merged weight by weight: all must be of one shape",
        )
    if first.tokenizer.fingerprint != other.tokenizer.fingerprint:
        raise CheckpointError(
            f"{other.directory}: its vocabulary is not that of {first.directory}",
            hint="the same row would be of another token: merge models that were made from one and the same",
        )


def told(directories: Sequence[Path]) -> list[str]:
    """Return the last names of directories, for provenance: paths of one machine say nothing on another."""
    return [directory.resolve().name for directory in directories]
