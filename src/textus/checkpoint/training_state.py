"""Keep what a run needs to go on: the optimizer's tensors as safetensors and all else as JSON, never a pickle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from textus import storage
from textus.errors import CheckpointError, TextusError

FOLDER = "training_state"
KIND = "training checkpoint"
TENSORS = "optimizer.safetensors"
BESIDE = "beside.safetensors"
"""Tensors that are neither the model's nor the optimizer's; only where there are any."""
SPREAD = "optimizer"
"""A folder in its place, where each of several processes has written its rows."""
VALUES = "state.json"
_PREFIX = "step-"
_OLDER = "delete this checkpoint; an older one is used then"
_OTHER = "give the settings that the run was begun with, or choose another -o"


def write(
    directory: Path, optimizer: torch.optim.Optimizer, values: Mapping[str, Any], spread: Path | None = None
) -> None:
    """Write the training state into `directory`, which the caller makes atomic.

    Each group of `optimizer` must list the `names` of its parameters; tensors are saved as `name/slot`. Where processes
    have written their rows of them to the folder `spread` already, it is moved in.
    """
    if spread is not None:
        _write_spread(directory, optimizer, values, spread)
        return
    write_tensors(directory, type(optimizer).__name__, tensors(optimizer), {}, values)


def tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return the optimizer's state as `name/slot`; not copies."""
    return {
        f"{name}/{slot}": tensor.detach()
        for name, (parameter, _) in _named(optimizer).items()
        for slot, tensor in optimizer.state.get(parameter, {}).items()
    }


def write_tensors(
    directory: Path,
    optimizer: str,
    tensors: Mapping[str, torch.Tensor],
    beside: Mapping[str, torch.Tensor],
    values: Mapping[str, Any],
) -> None:
    """Write a training state from its parts: the optimizer's name and `tensors`, those `beside` it, and values."""
    folder = directory / FOLDER
    with storage.refusals(folder):
        folder.mkdir()
        storage.write_json(folder / VALUES, dict(values))
        for name, parts in ((TENSORS, tensors), (BESIDE, beside)):
            if parts or name == TENSORS:
                whole = {key: tensor.detach().contiguous() for key, tensor in parts.items()}
                save_file(whole, folder / name, metadata={"optimizer": optimizer})
                # safetensors lets nobody else read what it writes
                (folder / name).chmod((folder / VALUES).stat().st_mode)


def _write_spread(directory: Path, optimizer: torch.optim.Optimizer, values: Mapping[str, Any], spread: Path) -> None:
    scalars = {
        f"{name}/{slot}": tensor.item()
        for name, (parameter, _) in _named(optimizer).items()
        for slot, tensor in optimizer.state.get(parameter, {}).items()
        if not tensor.ndim
    }
    folder = directory / FOLDER
    with storage.refusals(folder):
        folder.mkdir()
        spread.rename(folder / SPREAD)
        told = {**values, "optimizer": type(optimizer).__name__, "scalars": scalars}
        storage.write_json(folder / VALUES, told)


def read(
    directory: Path,
    optimizer: torch.optim.Optimizer,
    part: Callable[[Path], Mapping[str, torch.Tensor]] | None = None,
) -> dict[str, Any]:
    """Fill `optimizer` from `directory` and return the values that were written with it.

    `part` reads, from the folder that holds tensors, the rows that are this process's. Raises `CheckpointError`, with
    `optimizer` as it was, when the files are damaged or of other parameters.
    """
    saved = _load(directory, optimizer, part)
    found = values(directory)
    optimizer.state.clear()
    for name, (parameter, on_device) in _named(optimizer).items():
        for slot, tensor in saved.get(name, {}).items():
            # A copy: the file may go while the run lives. The count of steps stays on the CPU, but for fused kernels.
            device = parameter.device if on_device or tensor.ndim else torch.device("cpu")
            optimizer.state[parameter][slot] = tensor.to(device, copy=True)
    return found


def beside(directory: Path) -> dict[str, torch.Tensor]:
    """Return the tensors that were written beside the optimizer's; none where there were none."""
    path = directory / FOLDER / BESIDE
    try:
        return load_file(path) if path.exists() else {}
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{directory}: damaged training state: {error}", hint=_OLDER) from None


def values(directory: Path) -> dict[str, Any]:
    """Return the values that were written into `directory`, or raise `CheckpointError`."""
    found = storage.read_json(directory / FOLDER / VALUES, CheckpointError)
    if not isinstance(found, dict):
        raise CheckpointError(f"{directory}: damaged training state", hint=_OLDER)
    return found


def _load(
    directory: Path,
    optimizer: torch.optim.Optimizer,
    part: Callable[[Path], Mapping[str, torch.Tensor]] | None,
) -> dict[str, dict[str, torch.Tensor]]:
    """Return the saved tensors by parameter and slot, once they are known to be this optimizer's."""
    saved: dict[str, dict[str, torch.Tensor]] = defaultdict(dict)
    try:
        kind, tensors = _tensors(directory, part)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{directory}: damaged training state: {error}", hint=_OLDER) from None
    for key, tensor in tensors.items():
        name, _, slot = key.rpartition("/")
        saved[name][slot] = tensor
    if kind != type(optimizer).__name__:
        raise CheckpointError(
            f"{directory}: its optimizer is {kind}, and this run's is {type(optimizer).__name__}", hint=_OTHER
        )
    parameters = _named(optimizer)
    for name in sorted(saved.keys() ^ parameters.keys()) if saved else ():
        has, lacks = ("its optimizer", "this model") if name in saved else ("this model", "its optimizer")
        raise CheckpointError(f"{directory}: {has} has `{name}`, and {lacks} has not", hint=_OTHER)
    for name, slots in saved.items():
        for slot, tensor in slots.items():
            shape = parameters[name][0].shape
            # a number for the whole, one for each row, or one for each element
            if tensor.ndim and (tensor.ndim != len(shape) or any(map(_differ, tensor.shape, shape))):
                raise CheckpointError(
                    f"{directory}: `{name}/{slot}` has shape {list(tensor.shape)}, not {list(shape)}", hint=_OTHER
                )
    return saved


def _tensors(
    directory: Path, part: Callable[[Path], Mapping[str, torch.Tensor]] | None
) -> tuple[str | None, dict[str, torch.Tensor]]:
    """Return whose the saved tensors are, and they themselves: whole, or this process's `part` of them."""
    folder = directory / FOLDER
    if (folder / SPREAD).is_dir():
        from textus.checkpoint import sharded_state  # takes a while to import, and only runs of several need it

        told = values(directory)
        found = {key: torch.tensor(value, dtype=torch.float32) for key, value in told["scalars"].items()}
        return told["optimizer"], {**found, **(part or sharded_state.joined)(folder / SPREAD)}
    with safe_open(folder / TENSORS, "pt") as file:
        kind = (file.metadata() or {}).get("optimizer")
        keys = [key for key in file.keys() if part is None or not file.get_slice(key).get_shape()]  # noqa: SIM118
        found = {key: file.get_tensor(key) for key in keys}
    return kind, {**found, **(part(folder) if part is not None else {})}


def _differ(length: int, wanted: int) -> bool:
    return length not in (1, wanted)


def path(run: Path, step: int) -> Path:
    """Return where the checkpoint after `step` lies in a run's directory of checkpoints."""
    return run / f"{_PREFIX}{step:08d}"


def step_of(checkpoint: Path) -> int:
    """Return the step of a checkpoint at its `path`."""
    return int(checkpoint.name.removeprefix(_PREFIX))


def steps(run: Path) -> list[int]:
    """Return the steps of the checkpoints in a run's directory of checkpoints, oldest first, unchecked."""
    names = (entry.name.removeprefix(_PREFIX) for entry in run.glob(f"{_PREFIX}*") if entry.is_dir())
    return sorted(int(name) for name in names if name.isdecimal())


def newest(run: Path) -> tuple[Path | None, list[str]]:
    """Return the newest checkpoint whose checksums hold, and a sentence for each damaged one that was passed over."""
    passed: list[str] = []
    for step in reversed(steps(run)):
        try:
            storage.verify(path(run, step), KIND, CheckpointError)
        except TextusError as error:
            passed.append(f"checkpoint {step} is damaged and was passed over: {error.message}")
        else:
            return path(run, step), passed
    return None, passed


def _named(optimizer: torch.optim.Optimizer) -> dict[str, tuple[torch.Tensor, bool]]:
    """Return each parameter by name, and whether its optimizer keeps the count of steps beside it."""
    return {
        name: (parameter, bool(group.get("fused") or group.get("capturable")))
        for group in optimizer.param_groups
        for name, parameter in zip(group["names"], group["params"], strict=True)
    }
