"""Compute with as many threads as are fastest for a model."""

from __future__ import annotations

import os
from typing import Literal

import torch

from textus.checkpoint.checkpoint import Checkpoint
from textus.decoding.engine.threads import choose_threads


def use_threads(opened: Checkpoint, threads: int | Literal["auto"]) -> int:
    """Set the number of CPU threads of this process, "auto" by a short measurement; return it."""
    if threads != "auto":
        torch.set_num_threads(threads)
    elif opened.model.embedding.weight.device.type == "cpu":
        token = torch.tensor([[opened.tokenizer.end]])
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        with torch.inference_mode():
            choose_threads(lambda: opened.model(token), cores)
    return torch.get_num_threads()
