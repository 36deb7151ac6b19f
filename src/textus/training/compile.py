"""torch.compile over a model's blocks: one is compiled, and serves for all.

A graph of the whole model would be no faster, since blocks leave their last sum to who comes next, and would take as
many times longer to compile as there are blocks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from textus.model.transformer import Transformer

CACHE = Path(".cache") / "textus" / "compiled"
"""In the user's home: what was compiled once is found again by the next run."""


@contextmanager
def compiled(model: Transformer) -> Generator[None]:
    """Train with compiled blocks; evaluation, whose shapes vary, stays as it is."""
    _keep_what_is_compiled()
    plain = type(model.blocks[0]).forward
    fast = torch.compile(plain, fullgraph=True, dynamic=False)
    finish = torch.compile(Transformer.finish, fullgraph=True, dynamic=False)
    try:
        for block in model.blocks:
            block.forward = _while_training(block, fast, plain)
        model.finish = _while_training(model, finish, Transformer.finish)  # type: ignore[method-assign]
        yield
    finally:
        for module in (*model.blocks, model):
            for name in ("forward", "finish"):
                module.__dict__.pop(name, None)  # the class has the plain one
        torch.compiler.reset()  # else the next model here finds the cache full


def _while_training(module: nn.Module, fast: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *inputs: (fast if module.training else plain)(module, *inputs)


def _keep_what_is_compiled() -> None:
    """Tell the compiler where to keep its work: a variable of the environment is all that it asks."""
    try:
        folder = Path.home() / CACHE
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return  # no home to write to: it goes where torch puts it, and is lost with that
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
