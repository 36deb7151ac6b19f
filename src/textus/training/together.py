"""How one step is taken by one process, or by several together: as one process would take it, but for rounding.

Each process takes its rows of the step's batch. Losses and gradients are sums, divided by the count of all processes
and never averaged over them, so that a process that asks little counts for little. What decides for all (the loss, the
norm of the gradient, a signal to stop) is the same number in all of them, to the last bit.

`Replicated` is torch's DistributedDataParallel: each process holds everything. `Sharded` (`sharded.py`) is FSDP2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from textus.checkpoint import training_state
from textus.checkpoint.checkpoint import load_weights
from textus.dataset.window import Window
from textus.errors import CorpusError
from textus.model.transformer import Transformer
from textus.objectives.causal import labelled_loss
from textus.objectives.measure import measure
from textus.objectives.objective import Batch, Loss, Mixed, Objective
from textus.training.distributed import Ranks
from textus.training.precision import Precision
from textus.training.question import Question
from textus.training.recipe import Recipe
from textus.training.signals import StopRequest

Weights = dict[str, Tensor]
Autocast = Callable[[], AbstractContextManager[Any]]


class Alone:
    """One process."""

    rank, world = 0, 1

    def __init__(self) -> None:
        self.request = StopRequest()
        """Whether somebody has asked this process to stop."""

    @property
    def stop(self) -> int:
        """Return the signal by which all have been asked to stop, 0 while nobody has."""
        return self.request.signal_number

    def agree_to_stop(self) -> int:
        """Ask all, at the end of a run, and return `stop`."""
        return self.stop

    def agree(self, question: Question) -> Question:
        """Return what all processes ask in a step."""
        return question

    def part(self, *, last: bool) -> AbstractContextManager[Any]:
        """Return the context of a micro-batch; gradients are summed over processes in the `last` one."""
        return nullcontext()

    def loss(self, model: Transformer, objective: Objective, part: Batch) -> Loss:
        """Take the loss of a micro-batch."""
        return objective.loss(model, part)

    def take(
        self,
        model: Transformer,
        objective: Objective,
        part: Batch,
        count: int,
        precision: Precision,
        scaler: torch.amp.GradScaler,
    ) -> Tensor:
        """Add the gradient of a micro-batch's loss, divided by `count`; return what is told of it, a sum."""
        with precision.autocast():
            loss = self.loss(model, objective, part.to(precision.device, non_blocking=True))
        scaler.scale(loss.total / count).backward()  # type: ignore[no-untyped-call]
        return loss.measured

    def clear(self, optimizer: torch.optim.Optimizer) -> None:
        """Forget the gradients."""
        optimizer.zero_grad(set_to_none=True)

    def end(self) -> None:
        """Give back what the steps of one sitting have left."""

    def clip(
        self, model: Transformer, optimizer: torch.optim.Optimizer, total: Tensor, limit: float
    ) -> tuple[Tensor, Tensor]:
        """Clip the gradient to a global norm; return the step's loss over all processes, and that norm."""
        return total, nn.utils.clip_grad_norm_(model.parameters(), limit)

    def measure(
        self, model: Transformer, objective: Objective, windows: Iterable[Window], device: str, autocast: Autocast
    ) -> Loss:
        """Add up the loss over windows."""
        return measure(model, objective, windows, device, autocast)

    def load(self, checkpoint: Path, model: Transformer, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Fill model and optimizer from a checkpoint, and return its other values."""
        load_weights(checkpoint, model)
        return training_state.read(checkpoint, optimizer)

    def gathered(
        self, model: Transformer, optimizer: torch.optim.Optimizer, stage: Callable[[], Path]
    ) -> tuple[Weights | None, Path | None]:
        """Return what a checkpoint holds where it is spread: whole weights, and where each process left its part."""
        return None, None

    def whole(self, model: Transformer, checkpoint: Path) -> Transformer:
        """Return the model in one piece, with the weights of the last checkpoint, which it has."""
        return model


class Asked(nn.Module):
    """A model in a module whose forward pass is the whole of a micro-batch."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, objective: Objective, part: Batch | Mixed) -> tuple[Tensor, Tensor]:
        """Return the sum to minimise, and what is told of it; a part that asks nothing passes through all the same."""
        if isinstance(part, Batch) and not part.count:
            loss = labelled_loss(self.model, part)
        else:
            loss = objective.loss(self.model, part)
        return loss.total, loss.measured


class Several(Alone):
    """What holds however the weights are held."""

    spreads = False
    """Whether a process holds only its part of the weights."""

    def __init__(self, ranks: Ranks, asked: nn.Module) -> None:
        super().__init__()
        self.ranks, self.rank, self.world = ranks, ranks.rank, ranks.world
        self.asked = asked
        self._stop = 0

    @property
    def stop(self) -> int:
        """Return the signal that all knew of when they agreed on the newest step."""
        return self._stop

    def agree_to_stop(self) -> int:
        """Ask all, and return the signal that came, if one did."""
        self._stop = max(self._stop, *(signal for (signal,) in self._everyone(self.request.signal_number)))
        return self._stop

    def agree(self, question: Question) -> Question:
        """Add up what all ask; a sum between CPUs, while GPUs are at the step before."""
        told = self._everyone(question.count, question.positions, len(question.parts), self.request.signal_number)
        counts, positions, parts, signals = zip(*told, strict=True)
        self._stop = max(self._stop, *signals)
        return question.agreed(sum(counts), sum(positions), max(parts))

    def loss(self, model: Transformer, objective: Objective, part: Batch) -> Loss:
        """Take the loss of a micro-batch; one that asks nothing takes part in the sums."""
        total, told = self.asked(objective, part)
        return Loss(total, part.count, told)

    def clip(
        self, model: Transformer, optimizer: torch.optim.Optimizer, total: Tensor, limit: float
    ) -> tuple[Tensor, Tensor]:
        """Clip by the norm over all processes; what is returned is the first one's, so that all judge alike."""
        dist.all_reduce(total)
        told = torch.stack([total, self._clip(model, optimizer, limit)])
        dist.broadcast(told, 0)
        return told[0], told[1]

    def _clip(self, model: Transformer, optimizer: torch.optim.Optimizer, limit: float) -> Tensor:
        return nn.utils.clip_grad_norm_(model.parameters(), limit)

    def measure(
        self, model: Transformer, objective: Objective, windows: Iterable[Window], device: str, autocast: Autocast
    ) -> Loss:
        """Measure a part of the windows in each process, and add up."""
        batches = list(windows)
        mine = batches[self.rank :: self.world]
        found = torch.zeros(2, dtype=torch.float64)
        if mine:
            loss = self._measure(model, objective, mine, device, autocast)
            found = torch.tensor([float(loss.total), loss.count], dtype=torch.float64)
        if self.spreads and len(mine) * self.world < len(batches):  # all must pass as often through the model
            self._measure(model, objective, batches[:1], device, autocast)
        dist.all_reduce(found)
        if not found[1]:
            raise CorpusError("there is nothing to measure the model on", hint="give more validation text")
        return Loss(found[0], int(found[1]))

    def _measure(
        self, model: Transformer, objective: Objective, windows: list[Window], device: str, autocast: Autocast
    ) -> Loss:
        return measure(model, objective, windows, device, autocast)

    def _everyone(self, *numbers: int) -> list[tuple[int, ...]]:
        """Return the numbers of each process."""
        found = [torch.empty(len(numbers), dtype=torch.int64) for _ in range(self.world)]
        dist.all_gather(found, torch.tensor(numbers))
        return [tuple(each.tolist()) for each in found]


class Replicated(Several):
    """Each process holds the whole model and optimizer, and changes them alike."""

    def __init__(self, ranks: Ranks, model: Transformer, recipe: Recipe) -> None:
        asked = DistributedDataParallel(Asked(model), gradient_as_bucket_view=True)
        asked.register_comm_hook(None, lambda _, bucket: _sum(bucket.buffer()))
        super().__init__(ranks, asked)
        if recipe.compile == "on":
            # a block is one graph; this would cut it up to send gradients sooner, and blocks are sent one by one as is
            torch._dynamo.config.optimize_ddp = False

    def part(self, *, last: bool) -> AbstractContextManager[Any]:
        """Sum gradients over processes once a step."""
        assert isinstance(self.asked, DistributedDataParallel)
        return nullcontext() if last else self.asked.no_sync()


def _sum(gradients: Tensor) -> torch.futures.Future[Tensor]:
    """Add up gradients, which have been divided by the count of all processes."""
    future = dist.all_reduce(gradients, async_op=True).get_future()
    summed: torch.futures.Future[Tensor] = future.then(lambda done: done.value()[0])
    return summed
