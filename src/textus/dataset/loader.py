"""Which windows a step shows, shared out over ranks, and made ahead of time in the background."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from textus.dataset.pack import Indices
from textus.dataset.rows import Rows
from textus.dataset.window import Window
from textus.errors import ConfigError

Made = TypeVar("Made")
_AHEAD = 2
"""Steps made before they are asked for."""


class Loader:
    """The rows of this rank at each step: step s shows windows s * rows_per_step up to (s + 1) * rows_per_step.

    `rows_per_step` counts the rows of all ranks together, and the ranks' rows, one rank after the other, are the same
    global batch whatever the number of ranks. Where they cannot be shared equally, some ranks have one more. Where
    batches grow, `rows_before(s)` says where the windows of step s begin, and `rows_per_step` the rows of the largest.
    """

    def __init__(
        self,
        windows: Rows,
        rows_per_step: int,
        rank: int = 0,
        world: int = 1,
        rows_before: Callable[[int], int] | None = None,
    ) -> None:
        assert rows_per_step > 0 and 0 <= rank < world
        if rows_per_step < world:
            raise ConfigError(
                f"{rows_per_step} windows a step cannot be shared by {world} processes",
                hint="raise training.batch_tokens, or use fewer processes",
            )
        self.windows = windows
        self.rows_per_step = rows_per_step
        self.rank = rank
        self.world = world
        self.rows_before = rows_before if rows_before is not None else lambda step: step * rows_per_step

    def numbers(self, step: int) -> Indices:
        """Return the numbers of the windows that this rank sees at `step`."""
        first = self.rows_before(step)
        rows = self.rows_before(step + 1) - first
        begin, end = (first + rows * rank // self.world for rank in (self.rank, self.rank + 1))
        if begin == end:
            raise ConfigError(
                f"step {step + 1} has {rows} windows for {self.world} processes",
                hint="raise training.batch_start or training.batch_tokens, or use fewer processes",
            )
        return np.arange(begin, end)

    def window(self, step: int) -> Window:
        """Return the rows of this rank at `step`."""
        return self.windows.rows(self.numbers(step))

    def prefetch(self, first_step: int, stop_step: int) -> Generator[Window]:
        """Yield the windows of the steps from `first_step` to `stop_step`, excluded, made ahead of time."""
        return ahead(self.window, first_step, stop_step)


def ahead(make: Callable[[int], Made], first_step: int, stop_step: int) -> Generator[Made]:
    """Yield what `make` returns for the steps from `first_step` to `stop_step`, excluded, made ahead by a thread.

    What goes wrong in the thread is raised here; closing the iterator ends the thread.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="windows") as pool:
        waiting: deque[Future[Made]] = deque()
        try:
            for step in range(first_step, stop_step):
                waiting.append(pool.submit(make, step))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
