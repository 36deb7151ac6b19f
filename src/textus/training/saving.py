"""Checkpoints on disk, one at a time: copied at their step, and written while training goes on.

The copy is all that a step waits for. A directory is put in its place only when it is whole, so that whatever ends the
process leaves the checkpoint before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from textus import storage
from textus.checkpoint import training_state
from textus.checkpoint.checkpoint import write_model
from textus.errors import TextusError
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import Tokenizer
from textus.training import keep
from textus.training.loop import TrainState

_LIVE = "live."
"""What names of weights behind an average begin with; the other tensors beside are parameters of aids and adapters."""


@dataclass(frozen=True)
class Snapshot:
    """All that a checkpoint holds, as it was at one step."""

    step: int
    best: int
    """The step of the best checkpoint so far."""
    weights: Mapping[str, Tensor]
    """What the model directory holds: the average, where one has begun."""
    optimizer: str
    tensors: Mapping[str, Tensor]
    """The optimizer's."""
    beside: Mapping[str, Tensor]
    values: Mapping[str, Any]

    @classmethod
    def of(cls, model: Transformer, state: TrainState, values: Mapping[str, Any]) -> Snapshot:
        """Gather the tensors of a run; they are not copies."""
        shown, live = state.average.tensors()
        return cls(
            state.step,
            state.best_step,
            shown,
            type(state.optimizer).__name__,
            training_state.tensors(state.optimizer),
            {**model.beside_parameters(), **{_LIVE + name: value for name, value in live.items()}},
            dict(values),
        )


def take_up(model: Transformer, state: TrainState, beside: Mapping[str, Tensor]) -> None:
    """Bring model and average to where a snapshot found them, once the model has the weights of its directory."""
    live = {name.removeprefix(_LIVE): value for name, value in beside.items() if name.startswith(_LIVE)}
    state.average.restore(live)
    take_up_beside(model, beside)


@torch.no_grad()
def take_up_beside(model: Transformer, beside: Mapping[str, Tensor]) -> None:
    """Give the aids and adapters of a model the weights that a snapshot has of them."""
    for name, parameter in model.beside_parameters().items():
        parameter.copy_(beside[name])


class Copies:
    """Memory of the host that snapshots are copied to; it is kept from one to the next, since making it takes time."""

    def __init__(self) -> None:
        self._held: dict[str, Tensor] = {}
        self._arrived: torch.cuda.Event | None = None

    @torch.no_grad()
    def copy(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with tensors that no later step changes; `wait` says when they are there."""
        parts = {"weights": snapshot.weights, "tensors": snapshot.tensors, "beside": snapshot.beside}
        copied = {
            part: {name: self._copy(f"{part} {name}", value) for name, value in tensors.items()}
            for part, tensors in parts.items()
        }
        if any(value.device.type == "cuda" for value in snapshot.weights.values()):
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()
        return Snapshot(
            snapshot.step,
            snapshot.best,
            copied["weights"],
            snapshot.optimizer,
            copied["tensors"],
            copied["beside"],
            snapshot.values,
        )

    def wait(self) -> None:
        """Wait for what is on its way from a GPU."""
        if self._arrived is not None:
            self._arrived.synchronize()

    def _copy(self, name: str, value: Tensor) -> Tensor:
        held = self._held.get(name)
        if held is None or held.shape != value.shape or held.dtype != value.dtype:
            pin = value.device.type == "cuda"
            held = self._held[name] = torch.empty(value.shape, dtype=value.dtype, pin_memory=pin)
        # on a GPU the next step, which is sent after this, changes nothing before it is copied
        return held.copy_(value, non_blocking=True)


@dataclass
class Saver:
    """Puts snapshots into a run's directory of checkpoints; what goes wrong is raised at the next call."""

    checkpoints: Path
    model: Transformer
    tokenizer: Tokenizer
    provenance: Mapping[str, Any]
    key: str
    keep_last: int
    background: bool
    say: Callable[[str], None]
    _copies: Copies = field(default_factory=Copies)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="checkpoint"))
    _under_way: Future[None] | None = None

    def save(
        self,
        state: TrainState,
        values: Mapping[str, Any],
        weights: Mapping[str, Tensor] | None = None,
        spread: Path | None = None,
    ) -> None:
        """Save the run as it is now; wait for the save before this one first, and for this one where told to.

        Where processes keep parts of the model, they have gathered `weights` and written theirs to `spread` by now, and
        nothing is left to be done in the background.
        """
        self.wait()
        if spread is not None:
            self._put(
                state.step,
                state.best_step,
                weights,
                lambda partial: training_state.write(partial, state.optimizer, values, spread),
            )
            return
        snapshot = Snapshot.of(self.model, state, values)
        if self.background:
            self._under_way = self._pool.submit(self._write, self._copies.copy(snapshot))
        else:
            self._write(snapshot)

    def check(self) -> None:
        """Raise what has gone wrong with a save that is over; wait for none."""
        if self._under_way is not None and self._under_way.done():
            self.wait()

    def wait(self) -> None:
        """Wait until nothing is under way."""
        if self._under_way is not None:
            future, self._under_way = self._under_way, None
            future.result()

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.wait()
        except TextusError as problem:
            if error is None:
                raise
            self.say(problem.message)  # what ends the run is the other error
        finally:
            self._pool.shutdown()

    def _write(self, snapshot: Snapshot) -> None:
        self._copies.wait()
        parts = snapshot.optimizer, snapshot.tensors, snapshot.beside, snapshot.values
        self._put(
            snapshot.step,
            snapshot.best,
            snapshot.weights,
            lambda partial: training_state.write_tensors(partial, *parts),
        )

    def _put(
        self, step: int, best: int, weights: Mapping[str, Tensor] | None, write_state: Callable[[Path], None]
    ) -> None:
        path = training_state.path(self.checkpoints, step)
        with storage.refusals(path):
            if path.is_dir() and not (path / storage.MANIFEST).is_file():
                storage.discard(path)  # damaged, and passed over on resuming
            with storage.new_directory(path) as partial:
                write_model(partial, self.model, self.tokenizer, self.provenance, weights=weights)
                write_state(partial)
                storage.seal(partial, training_state.KIND, self.key, {}, {"step": step})
            keep.retain(self.checkpoints, step, self.keep_last, best)
