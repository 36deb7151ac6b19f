"""FSDP2: each process keeps its rows of every weight, gradient and moment, and gathers weights when they are needed.

The optimizer works on the rows that a process keeps, as plain tensors that share memory with the model's; so nothing in
it needs to know, but for Muon, whose products need whole matrices.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, Shard

from textus.checkpoint import sharded_state, training_state
from textus.checkpoint.checkpoint import load_weights, read_weights
from textus.dataset.window import Window
from textus.errors import ConfigError
from textus.model.transformer import Transformer
from textus.objectives.measure import measure
from textus.objectives.objective import Batch, Loss, Mixed, Objective
from textus.training.distributed import Ranks
from textus.training.recipe import Recipe
from textus.training.rows import bounds
from textus.training.together import Asked, Autocast, Several, Weights


class Sharded(Several):
    """Each process holds its rows of everything."""

    def __init__(self, ranks: Ranks, model: Transformer, recipe: Recipe) -> None:
        if recipe.precision == "fp16":
            raise ConfigError(
                "training.parallel=fsdp: fp16 needs one loss scale for all processes",
                hint="set training.precision=bf16 or fp32, or training.parallel=ddp",
            )
        mesh = init_device_mesh(recipe.device, (ranks.world,))
        for block in model.blocks:
            fully_shard(block, mesh=mesh)
        asked = Asked(model)
        fully_shard(asked, mesh=mesh)
        for module in asked.modules():
            if isinstance(module, FSDPModule):
                # a plain sum: the loss has been divided by the count of all processes
                module.set_gradient_divide_factor(1.0)
                module.set_force_sum_reduction_for_comms(True)
        super().__init__(ranks, asked)
        self._mesh = mesh

    def _clip(self, model: Transformer, optimizer: torch.optim.Optimizer, limit: float) -> Tensor:
        """Hand the gradients over to the optimizer's own tensors, and clip them there."""
        mine = named(optimizer)
        for name, parameter in mine.items():
            held = model.get_parameter(name)
            assert isinstance(held.grad, DTensor)
            parameter.grad, held.grad = held.grad.to_local(), None
        squared = nn.utils.get_total_norm([part.grad for part in mine.values() if part.grad is not None])
        squared = squared.double().square()
        dist.all_reduce(squared)
        norm = squared.sqrt().float()
        nn.utils.clip_grads_with_norm_(mine.values(), limit, norm)
        return norm

    def _measure(
        self, model: Transformer, objective: Objective, windows: list[Window], device: str, autocast: Autocast
    ) -> Loss:
        try:
            return measure(model, _Through(objective, self.asked), windows, device, autocast)
        finally:
            assert isinstance(self.asked, FSDPModule)
            self.asked.reshard()  # what no backward pass follows stays gathered

    def load(self, checkpoint: Path, model: Transformer, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Fill this process's rows from a checkpoint, whatever wrote it."""
        weights = read_weights(checkpoint, model)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                own = local(parameter)
                own.copy_(weights[name][own_rows(parameter)])
        return training_state.read(checkpoint, optimizer, lambda folder: self._read(folder, model, optimizer))

    def _read(self, folder: Path, model: Transformer, optimizer: torch.optim.Optimizer) -> Weights:
        """Read this process's rows of an optimizer's tensors."""
        shapes = {name: model.get_parameter(name).shape for name in named(optimizer)}
        targets = {}
        for key, shape in sharded_state.shapes(folder).items():
            rows = shapes.get(key.rpartition("/")[0])
            if rows is not None and shape and shape[0] == rows[0]:
                begin, end = bounds(shape[0], self.rank, self.world)
                targets[key] = self._spread(torch.zeros(end - begin, *shape[1:]), shape)
        found: Weights = {name: value.to_local() for name, value in sharded_state.read(folder, targets).items()}
        return found

    def gathered(
        self, model: Transformer, optimizer: torch.optim.Optimizer, stage: Callable[[], Path]
    ) -> tuple[Weights | None, Path | None]:
        """Write this process's rows of the optimizer's tensors, and gather the weights for the first process."""
        folder = Path(self.ranks.first(lambda: str(stage())))
        tensors = {}
        for name, parameter in named(optimizer).items():
            whole = model.get_parameter(name).shape
            for slot, value in optimizer.state.get(parameter, {}).items():
                if value.ndim:
                    tensors[f"{name}/{slot}"] = self._spread(value, (whole[0], *value.shape[1:]))
        sharded_state.write(folder, tensors)
        weights = {}
        for name, parameter in model.named_parameters():
            assert isinstance(parameter, DTensor)
            full = parameter.full_tensor().detach()  # one after the other: there may be no room for two
            if self.ranks.leads:
                weights[name] = full.cpu()
        return weights, folder

    def _spread(self, rows: Tensor, shape: tuple[int, ...] | torch.Size) -> DTensor:
        size = torch.Size(shape)
        stride = torch.empty(size, device="meta").stride()
        made: DTensor = DTensor.from_local(
            rows.detach(), self._mesh, [Shard(0)], run_check=False, shape=size, stride=stride
        )
        return made

    def whole(self, model: Transformer, checkpoint: Path) -> Transformer:
        """Return a model in one piece with the weights of a checkpoint."""
        made = Transformer(model.config)
        load_weights(checkpoint, made)
        return made


class _Through:
    """An objective that takes its losses through the module that gathers the weights."""

    def __init__(self, objective: Objective, asked: nn.Module) -> None:
        self.attention, self.prediction_offset = objective.attention, objective.prediction_offset
        self._objective, self._asked = objective, asked

    def batch(self, window: Window, generator: torch.Generator) -> Batch | Mixed:
        """Ask what the objective asks."""
        return self._objective.batch(window, generator)

    def validation(self) -> _Through:
        """Return itself: it is made of what is measured."""
        return self

    def loss(self, model: Transformer, batch: Batch | Mixed) -> Loss:
        """Take the loss; what is gathered must still serve training, which inference mode would forbid."""
        with torch.inference_mode(False), torch.no_grad():
            total, _ = self._asked(self._objective, batch)
        return Loss(total, batch.count)


def named(optimizer: torch.optim.Optimizer) -> dict[str, nn.Parameter]:
    """Return the optimizer's parameters by their names in the model."""
    return {
        name: parameter
        for group in optimizer.param_groups
        for name, parameter in zip(group["names"], group["params"], strict=True)
    }


def local(parameter: Tensor) -> Tensor:
    """Return the rows of a parameter that this process keeps; they share its memory."""
    return parameter.to_local().detach() if isinstance(parameter, DTensor) else parameter.detach()


def own_rows(parameter: Tensor) -> slice:
    """Return which rows of a parameter this process keeps."""
    if not isinstance(parameter, DTensor):
        return slice(None)
    rank, world = parameter.device_mesh.get_local_rank(), parameter.device_mesh.size()
    return slice(*bounds(parameter.shape[0], rank, world))
