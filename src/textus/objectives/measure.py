"""Take a model's loss without touching the model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from textus.dataset.window import Window
from textus.errors import CorpusError
from textus.model.transformer import Transformer
from textus.objectives.objective import Loss, Objective


def measure(
    model: Transformer,
    objective: Objective,
    batches: Iterable[Window],
    device: torch.device | str,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Loss:
    """Add up the loss over all windows, in float64, without dropout and without gradients.

    `autocast` opens the arithmetic to compute in. What an objective draws by chance is the same at every call. Raises
    `CorpusError` where there are no windows.
    """
    generator = torch.Generator().manual_seed(0)
    total, count = 0.0, 0
    with evaluating(model), torch.inference_mode(), autocast():
        for window in batches:
            loss = objective.loss(model, objective.batch(window, generator).to(device))
            total, count = total + loss.total.item(), count + loss.count
    if not count:
        raise CorpusError("there is nothing to measure the model on", hint="give more validation text")
    return Loss(torch.tensor(total, dtype=torch.float64), count)


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Switch dropout off, and back to what it was."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
