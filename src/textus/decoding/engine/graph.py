"""Work of a GPU, recorded once to be replayed whole: no time goes into launching its kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")
_BEFORE = 2


def recorded(compute: Callable[[], Result]) -> tuple[torch.cuda.CUDAGraph, Result]:
    """Record what `compute` does; return the graph, and the result that each replay writes anew."""
    # kernels are compiled, load and choose themselves in first runs, which cannot be recorded
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_BEFORE):
            compute()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = compute()
    return graph, result
