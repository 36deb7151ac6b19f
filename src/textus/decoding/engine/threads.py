"""How many threads a CPU computes with: as many as a short measurement finds fastest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

ENOUGH = 0.95
"""Fewer threads are taken if they reach this share of the best speed: others may want the cores."""
SECONDS = 0.5
"""The measurement ends when it has taken so long: it must not cost more than it brings."""
_REPEATS = 3


def choose_threads(work: Callable[[], object], most: int) -> int:
    """Run `work` with ever fewer threads, keep the fewest that are about fastest, and return how many.

    Threads that wait for each other on cores that others use are many times slower than one, so no rule can do it.
    """
    began, best, fastest = time.perf_counter(), most, float("inf")
    for threads in candidates(most):
        torch.set_num_threads(threads)
        work()  # memory and threads are made at first use
        seconds = float("inf")
        for _ in range(_REPEATS):
            seconds = min(seconds, _timed(work))
            if time.perf_counter() - began > SECONDS:
                break
        if seconds * ENOUGH <= fastest:
            best, fastest = threads, min(seconds, fastest)
        if seconds > 2 * fastest or time.perf_counter() - began > SECONDS:
            break
    torch.set_num_threads(best)
    return best


def candidates(most: int) -> Sequence[int]:
    """Return the numbers of threads to try.

    >>> candidates(1), candidates(6), candidates(8)
    ([1], [6, 4, 2, 1], [8, 4, 2, 1])
    """
    return sorted({*(1 << power for power in range(most.bit_length())), most}, reverse=True)


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
