"""Several processes that train one model: who they are, how they wait for one another, and how they end together.

`torchrun` starts them and tells each one its number in environment variables, which are read here and nowhere else. It
also keeps a small table that all of them see. What one process decides for all (which plan, which checkpoint) is
written there as JSON, and the others wait for it, however long that takes; so is the reason why a process has failed,
which ends all others, and which is said once.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from textus.errors import ConfigError, ResourceError, SaidElsewhere, TextusError

Found = TypeVar("Found")
COLLECTIVE = timedelta(minutes=15)
"""How long a sum over the processes may take: who has said nothing by then is lost."""
_GATHERING = timedelta(minutes=10)
"""How long the processes may take to start."""
_SOONEST_SECONDS, _LOOK_SECONDS = 0.002, 1.0
"""How often a process that waits looks into the table: seldom where it takes long."""
_GRACE_SECONDS = 20.0
"""How long a process may take to end when another has failed: one that waits for a dead GPU never would."""
_FAILED = "failed"
_UNEXPECTED = 70


@dataclass(frozen=True)
class Launch:
    """What torchrun has told this process; alone where nobody has."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    """Among the processes of this machine."""
    attempt: int = 0
    """How often torchrun has started them anew."""


def launched() -> Launch:
    """Read what torchrun has told this process."""
    told = os.environ
    if "TORCHELASTIC_RUN_ID" not in told or int(told["WORLD_SIZE"]) == 1:
        return Launch()
    numbers = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "TORCHELASTIC_RESTART_COUNT")
    return Launch(*(int(told[name]) for name in numbers))


def follows() -> bool:
    """Tell whether another process of the same run speaks for this one."""
    return launched().rank > 0


class Ranks:
    """The processes of a run, numbered from 0; without a table, the one that there is."""

    def __init__(self, launch: Launch = Launch(), table: Store | None = None) -> None:
        self.rank, self.world = launch.rank, launch.world
        self._local_rank, self._table = launch.local_rank, table
        self._turn = 0
        self._over = threading.Event()

    @property
    def leads(self) -> bool:
        """Tell whether this process prepares, writes and speaks for all."""
        return self.rank == 0

    def first(self, work: Callable[[], Any]) -> Any:
        """Let the leader do `work`, and return in every process what came of it: values that JSON can hold."""
        if self._table is None:
            return work()
        self._turn += 1
        key = f"turn {self._turn}"
        if self.leads:
            found = work()
            self._table.set(key, json.dumps(found))
            return found
        return json.loads(self._wait(key))

    def lead(self, work: Callable[[], Found]) -> Found:
        """Do `work` in the leader, and then in the others, who find made what it leaves on disk."""
        found: list[Found] = []
        self.first(lambda: found.append(work()))
        return found[0] if found else work()

    def connect(self, device: str) -> None:
        """Open what sums run over: gloo between CPUs, NCCL between GPUs, of which each process takes its own."""
        if self._table is None or dist.is_initialized():
            return
        if device not in ("cpu", "cuda"):
            raise ConfigError(
                f"training.device={device}: several processes cannot share it", hint="set training.device=cpu"
            )
        if device == "cuda":
            if self._local_rank >= torch.cuda.device_count():
                raise ConfigError(
                    f"process {self._local_rank} of this machine has no GPU: it has {torch.cuda.device_count()}",
                    hint=f"start it with --nproc-per-node {torch.cuda.device_count()}",
                )
            torch.cuda.set_device(self._local_rank)
        backend = "gloo" if device == "cpu" else "cpu:gloo,cuda:nccl"
        table = PrefixStore("groups", self._table)
        dist.init_process_group(backend, store=table, rank=self.rank, world_size=self.world, timeout=COLLECTIVE)
        threading.Thread(target=self._watch, daemon=True, name="failures").start()

    def told(self, error: BaseException) -> BaseException:
        """Return what this process ends with: the first to fail says why, and all others say nothing."""
        if self._table is None:
            return error
        if _is_lost(error):
            error = ResourceError(
                "another process of this run has ended without a word",
                hint="run the same command again: it goes on from the last checkpoint",
            )
        message = getattr(error, "message", "") or f"{type(error).__name__}: {error}"
        mine = {"rank": self.rank, "message": message, "exit_code": _exit_code(error)}
        try:
            said = json.loads(self._table.compare_set(_FAILED, "", json.dumps(mine)))
        except RuntimeError:  # who kept the table is gone
            return error
        return error if said["rank"] == self.rank else _elsewhere(said)

    def close(self) -> None:
        """End the watch and close what `connect` opened."""
        self._over.set()
        if self._table is not None and dist.is_initialized():
            dist.destroy_process_group()

    def _wait(self, key: str) -> bytes:
        """Wait for a value in the table; raise `SaidElsewhere` where a process fails meanwhile."""
        assert self._table is not None
        pause = _SOONEST_SECONDS
        while not self._table.check([key]):
            if said := self._failure():
                raise _elsewhere(said)
            self._over.wait(pause)
            pause = min(2 * pause, _LOOK_SECONDS)
        return bytes(self._table.get(key))

    def _failure(self) -> dict[str, Any]:
        """Return why another process has failed; nothing while none has."""
        assert self._table is not None
        return dict(json.loads(self._table.get(_FAILED))) if self._table.check([_FAILED]) else {}

    def _watch(self) -> None:
        """End this process where another has failed and this one hangs: a sum on GPUs waits for the dead."""
        while not self._over.wait(_LOOK_SECONDS):
            try:
                said = self._failure()
            except RuntimeError:  # who kept the table is gone
                said = {"exit_code": ResourceError.exit_code}
            if said:
                if not self._over.wait(_GRACE_SECONDS):
                    os._exit(said["exit_code"])
                return


@contextmanager
def joined() -> Generator[Ranks]:
    """Find the other processes of this run, where torchrun has started several; what ends one of them ends all."""
    launch = launched()
    if launch.world == 1:
        yield Ranks()
        return
    table, _, _ = next(rendezvous("env://", timeout=_GATHERING))
    ranks = Ranks(launch, PrefixStore(f"attempt {launch.attempt}", table))
    try:
        yield ranks
    except BaseException as error:
        told = ranks.told(error)
        if told is error:
            raise
        raise told from error
    finally:
        ranks.close()


def _elsewhere(said: dict[str, Any]) -> SaidElsewhere:
    return SaidElsewhere(f"process {said['rank']} has failed: {said['message']}", exit_code=said["exit_code"])


def _is_lost(error: BaseException) -> bool:
    """Tell whether an error says no more than that another process does not answer."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error).lower())


def _exit_code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return 130
    return error.exit_code if isinstance(error, TextusError) else _UNEXPECTED
