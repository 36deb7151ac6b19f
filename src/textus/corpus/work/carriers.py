"""Who does the tasks: this process, several processes, several commands that share a disk, or a Ray cluster.

All of them do the same: see to it that every task's directory is there. A worker that is killed takes nothing with it
but its unfinished directory, and its task is done again.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

from textus import storage
from textus.corpus.work.config import WorkConfig
from textus.corpus.work.task import Task, perform
from textus.errors import ConfigError, ResourceError
from textus.progress import SILENT, Progress
from textus.progress import Task as Bar

_ATTEMPTS = 3
_MARK = "failed-rank-{}"
_LONGEST_WAIT = 2.0
_WORTH_SHOWING = 1e6
_WORTH_PROCESSES = 8e6
"""Bytes of text: less is done before a process has started."""


class Carrier(Protocol):
    """Someone who sees to it that tasks are done."""

    def carry(self, tasks: Sequence[Task], bar: Bar) -> None:
        """Return once every task is done; raise what a task raised."""
        ...

    def stop(self) -> None:
        """Let go of what was taken to do tasks."""
        ...


def carry(carrier: Carrier, name: str, tasks: Sequence[Task], progress: Progress) -> None:
    """Have tasks done under a progress bar; those that are done already are not looked at twice."""
    waiting = [task for task in tasks if not task.is_done]
    if not waiting:
        return
    size = sum(task.size for task in waiting)
    with (progress if size > _WORTH_SHOWING else SILENT).task(name, size, "B") as bar:
        carrier.carry(waiting, bar)


def chosen(config: WorkConfig, root: Path) -> Carrier:
    """Return the carrier that the settings ask for; `root` is a directory that all who work together see."""
    if config.world > 1:
        return Ranked(config.rank, config.world, root)
    if config.carrier == "ray":
        return Ray()
    return Processes(_cores() if config.workers == "auto" else config.workers)


class Processes:
    """Do tasks in so many processes of this machine; a little work, which others could not do sooner, in this one."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def carry(self, tasks: Sequence[Task], bar: Bar) -> None:
        """Do the tasks; those of a worker that was killed are done again, three times at the most."""
        is_little = self._pool is None and sum(task.size for task in tasks) < _WORTH_PROCESSES
        if min(self.workers, len(tasks)) == 1 or is_little:
            for task in tasks:
                perform(task)
                bar.advance(task.size)
            return
        waiting = list(tasks)
        for _ in range(_ATTEMPTS):
            try:
                self._attempt(waiting, bar)
                return
            except BrokenProcessPool:
                self.stop()
                waiting = [task for task in waiting if not task.is_done]
            except BaseException:
                self.stop()
                raise
        raise ResourceError(
            f"a worker process was killed {_ATTEMPTS} times",
            hint="it may have run out of memory: lower corpus.work.workers or corpus.work.task_mb",
        )

    def stop(self) -> None:
        """End the processes: at once, for what they have not finished would go on for minutes, and is swept later."""
        if self._pool is not None:
            for process in list((getattr(self._pool, "_processes", None) or {}).values()):
                process.kill()
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _attempt(self, tasks: Sequence[Task], bar: Bar) -> None:
        if self._pool is None:
            # Spawned and not forked: Arrow and numpy have threads, which a fork would not take along.
            self._pool = ProcessPoolExecutor(self.workers, multiprocessing.get_context("spawn"), _begin)
        running = {self._pool.submit(perform, task): task for task in tasks}
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
                bar.advance(running.pop(future).size)


class Ranked:
    """Do every `world`-th task, and wait for those of the others: they run the same command with another rank.

    A rank that fails leaves a mark in `root`. Whoever waits for it then does what it has left undone, first of all what
    it failed on: bad input fails there too, with the same words, and what only that rank could not do is done.
    Where one has been killed, its command can be given again, or the same work finished by any other carrier.
    """

    def __init__(self, rank: int, world: int, root: Path) -> None:
        self.rank, self.world = rank, world
        self._root = root
        with storage.refusals(root):
            _mark(root, rank).unlink(missing_ok=True)  # of this rank's last attempt

    def stop(self) -> None:
        """Let go of nothing."""

    def carry(self, tasks: Sequence[Task], bar: Bar) -> None:
        """Do our share, then wait until all is done."""
        mine = [task for task in tasks if self._owner(task) == self.rank]
        others = [task for task in tasks if self._owner(task) != self.rank]
        for task in mine:
            self._do(task)
            bar.advance(task.size)
        for task in others:
            self._wait(task, others, bar)
            bar.advance(task.size)

    def _owner(self, task: Task) -> int:
        # The key says whose a task is, not its number: what is done already differs from one moment to the next.
        return int(task.key[:8], 16) % self.world

    def _do(self, task: Task) -> None:
        try:
            perform(task)
        except Exception:
            storage.write_text(_mark(self._root, self.rank), task.key)
            raise

    def _wait(self, task: Task, others: Sequence[Task], bar: Bar) -> None:
        delay, mark = 0.05, _mark(self._root, self._owner(task))
        while not task.is_done:
            if mark.is_file():
                failed = _read(mark)
                for one in (*(other for other in others if other.key == failed), task):
                    self._do(one)
                return
            bar.note("waiting for other ranks")
            time.sleep(delay)
            delay = min(_LONGEST_WAIT, 1.5 * delay)


def clear_marks(root: Path) -> None:
    """Forget which ranks have failed in a directory."""
    for path in root.glob(_MARK.format("*")):
        path.unlink(missing_ok=True)


def _mark(root: Path, rank: int) -> Path:
    """Return the file that is there once a rank has failed; it holds the key of the task that it failed on."""
    return root / _MARK.format(rank)


def _read(mark: Path) -> str:
    try:
        return mark.read_text("utf-8")
    except FileNotFoundError:  # that rank has come back just now
        return ""


class Ray:
    """Do tasks on a Ray cluster whose machines share the disk; without one, on a local one that is started for it."""

    def stop(self) -> None:
        """Leave the cluster as it is: others may use it, and it ends with this process where we started it."""

    def carry(self, tasks: Sequence[Task], bar: Bar) -> None:
        """Do the tasks; Ray does those of a lost worker again."""
        ray = _ray()
        remote = ray.remote(max_retries=_ATTEMPTS, retry_exceptions=False)(perform)
        running = {remote.remote(task): task for task in tasks}
        while running:
            done, _ = ray.wait(list(running), num_returns=1)
            for reference in done:
                try:
                    ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from None
                except ray.exceptions.WorkerCrashedError:
                    raise ResourceError(
                        f"a Ray worker was killed {_ATTEMPTS + 1} times",
                        hint="it may have run out of memory: lower corpus.work.task_mb, or give the cluster more",
                    ) from None
                bar.advance(running.pop(reference).size)


def _ray() -> Any:
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError:
        raise ConfigError(
            "corpus.work.carrier = ray: Ray is not installed",
            hint="pip install 'textus[ray]', or leave it on processes",
        ) from None
    if not ray.is_initialized():
        ray.init(address=None, include_dashboard=False, log_to_driver=False, configure_logging=False)
    return ray


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin() -> None:
    """Let a worker leave Ctrl-C to its parent, and end when its parent does, even by `kill -9`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
