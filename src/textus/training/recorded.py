"""A small model's micro-batches as CUDA graphs: a GPU is done with its kernels before Python has sent the next ones.

Only memory that stays where it is can be replayed: what a micro-batch holds is copied to one place, gradients are set
to zero and not dropped, and what a loss is divided by is a tensor. Labels that are picked out are as many as fill a few
sizes, one graph each; those too many ask nothing.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from textus.model.transformer import Transformer
from textus.objectives.objective import Batch, Objective
from textus.training.precision import Precision
from textus.training.recipe import Recipe
from textus.training.together import Alone

_SIZES = 32
"""Into how many sizes the number of labels is rounded."""
_MOST_GRAPHS = 24
_BEFORE = 2
"""First runs, in which kernels are compiled, loaded and chosen."""


def alone(recipe: Recipe) -> Alone:
    """Return what takes the steps of a single process."""
    # what a loss scale does next, what further tokens ask and what is computed again all hang on the moment
    waits = recipe.precision == "fp16" or recipe.future_tokens or recipe.recompute != "off"
    return Recorded() if recipe.record == "on" and recipe.device == "cuda" and not waits else Alone()


@dataclass(frozen=True)
class _Graph:
    graph: torch.cuda.CUDAGraph
    part: Batch
    """What the graph reads."""
    count: Tensor
    """By what it divides the loss."""
    measured: Tensor
    """What it writes."""

    def replay(self, part: Batch, count: int) -> Tensor:
        for mine, its in zip(_tensors(self.part), _tensors(part), strict=True):
            mine.copy_(its, non_blocking=True)
        self.count.fill_(count)
        self.graph.replay()
        return self.measured


class Recorded(Alone):
    """One process, whose micro-batches are recorded once for each shape and then replayed."""

    def __init__(self) -> None:
        super().__init__()
        self._graphs: dict[tuple[Any, ...], _Graph] = {}
        self._pool: Any = None

    def take(
        self,
        model: Transformer,
        objective: Objective,
        part: Batch,
        count: int,
        precision: Precision,
        scaler: torch.amp.GradScaler,
    ) -> Tensor:
        """Add the gradient of a micro-batch, by a graph."""
        # rows of labelled texts are as wide as their longest, and pairs and answers are asked in their own ways
        if type(part) is not Batch or type(model) is not Transformer:
            return super().take(model, objective, part, count, precision, scaler)
        part = dataclasses.replace(part.with_spans(), num_labels=_rounded(part), count=1, counts=None)
        # weights that have moved are another model's
        key = (model.embedding.weight.data_ptr(), part.attention, part.num_labels, *_shapes(part))
        if key not in self._graphs:
            if len(self._graphs) >= _MOST_GRAPHS:
                return super().take(model, objective, part, count, precision, scaler)
            self._graphs[key] = self._record(model, objective, part, precision)
        return self._graphs[key].replay(part, count)

    def clear(self, optimizer: torch.optim.Optimizer) -> None:
        """Set gradients to zero, where they are."""
        optimizer.zero_grad(set_to_none=not self._graphs)

    def end(self) -> None:
        """Forget the graphs: the kernels in them go with the compiler's memory."""
        self._graphs.clear()

    def _record(self, model: Transformer, objective: Objective, part: Batch, precision: Precision) -> _Graph:
        """Record a micro-batch; gradients and the state of chance are left as they were."""
        device = model.embedding.weight.device
        part, count = part.to(device), torch.ones((), device=device)

        def compute() -> Tensor:
            with precision.autocast():
                loss = objective.loss(model, part)
            (loss.total / count).backward()  # type: ignore[no-untyped-call]
            return loss.measured

        weights = [weight for weight in model.parameters() if weight.requires_grad]
        before, chance = [weight.grad for weight in weights], torch.cuda.get_rng_state(device)
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for weight in weights:
                weight.grad = None
            for _ in range(_BEFORE):
                compute()
        torch.cuda.current_stream().wait_stream(stream)
        for weight, held in zip(weights, before, strict=True):
            learns = weight.grad is not None
            weight.grad = torch.zeros_like(weight) if learns and held is None else held
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        # the thread that makes batches goes on pinning memory
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            measured = compute()
        torch.cuda.set_rng_state(chance, device)
        return _Graph(graph, part, count, measured)


def _tensors(part: Batch) -> list[Tensor]:
    every = (part.tokens, part.labels, part.documents, part.spans, part.weights)
    return [values for values in every if values is not None]


def _shapes(part: Batch) -> list[tuple[int, ...] | None]:
    every = (part.tokens, part.documents, part.spans, part.weights)
    return [None if values is None else tuple(values.shape) for values in every]


def _rounded(part: Batch) -> int:
    grain = max(1, part.positions // _SIZES)
    return min(part.positions, -(-part.num_labels // grain) * grain)
