"""Activation checkpointing: compute a block again in the backward pass rather than keep what it computed.

Chen et al. 2016, arXiv 1604.06174. Dropout draws the same again, since the generators are put back; so the gradients
are the same to the last bit wherever the block's arithmetic is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from textus.model.transformer import Block, Transformer


@contextmanager
def recomputed(model: Transformer) -> Generator[None]:
    """Keep only what goes into each block while training; enter it after `compiled`, whose blocks it then calls."""
    before = {block: block.__dict__.get("forward") for block in model.blocks}
    try:
        for block in model.blocks:
            assert isinstance(block, Block)
            block.forward = partial(_run, block, block.forward)  # type: ignore[method-assign]
        yield
    finally:
        for block, forward in before.items():
            block.__dict__.pop("forward", None)  # the class has the plain one
            if forward is not None:
                block.__dict__["forward"] = forward


def _run(block: Block, forward: Callable[..., Any], *inputs: Any) -> Any:
    if not (block.training and torch.is_grad_enabled()):
        return forward(*inputs)
    return checkpoint(forward, *inputs, use_reentrant=False, preserve_rng_state=bool(block.dropout))
