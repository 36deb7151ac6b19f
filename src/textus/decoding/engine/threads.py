"""How many threads a CPU computes with: as many as a short measurement finds fastest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

ENOUGH = 0.95
"""More threads must be faster than this, or fewer are taken: others may want the cores."""
SECONDS = 0.5
"""The measurement ends when it has taken so long."""
_REPEATS = 3


def choose_threads(work: Callable[[], object], most: int) -> int:
    """Run `work` with 1, 2, 4, ... threads, keep the fewest that are about fastest, and return how many.

    Threads that wait for each other on cores that others use are many times slower than one, so no rule can do it.
    """
    began, best, fastest = time.perf_counter(), 1, float("inf")
    for threads in candidates(most):
        torch.set_num_threads(threads)
        work()  # memory and threads are made at first use
        seconds = min(_timed(work) for _ in range(_REPEATS))
        if seconds < ENOUGH * fastest:
            best, fastest = threads, seconds
        elif seconds > 2 * fastest or time.perf_counter() - began > SECONDS:
            break
    torch.set_num_threads(best)
    return best


def candidates(most: int) -> Sequence[int]:
    """Return the numbers of threads to try.

    >>> candidates(1), candidates(6), candidates(8)
    ([1], [1, 2, 4, 6], [1, 2, 4, 8])
    """
    return sorted({*(1 << power for power in range(most.bit_length())), most})


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
