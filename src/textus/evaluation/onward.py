"""Numbers between the host and a device that computes while the host prepares what comes next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor

Given = TypeVar("Given")


def sent(values: ndarray, device: torch.device) -> Tensor:
    """Return numbers on a device; a GPU fetches them when it gets to them, and nobody waits for it."""
    here = torch.from_numpy(np.ascontiguousarray(values))
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here.to(device)


def one_ahead(given: Iterable[Given], compute: Callable[[Given], Tensor]) -> Iterator[tuple[Given, ndarray]]:
    """Yield what is computed of each, when the next has been begun, so that a GPU does not wait for the host.

    >>> [(one, found.tolist()) for one, found in one_ahead([1, 2], lambda one: torch.tensor([one + 0.5]))]
    [(1, [1.5]), (2, [2.5])]
    """
    begun: tuple[Given, _OnItsWay] | None = None
    for one in given:
        next_one = one, _OnItsWay(compute(one))
        if begun is not None:
            yield begun[0], begun[1].arrived()
        begun = next_one
    if begun is not None:
        yield begun[0], begun[1].arrived()


class _OnItsWay:
    """Numbers that a device may still be computing."""

    def __init__(self, values: Tensor) -> None:
        self._values = values.to("cpu", non_blocking=values.is_cuda)
        self._there: torch.cuda.Event | None = None
        if values.is_cuda:
            self._there = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._there.record()

    def arrived(self) -> ndarray:
        """Wait for them."""
        if self._there is not None:
            self._there.synchronize()
        return self._values.numpy()
