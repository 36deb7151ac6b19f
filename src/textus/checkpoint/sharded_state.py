"""Tensors that are spread over processes, each writing its rows: torch's distributed checkpoints, as safetensors.

What torch writes otherwise is described by a pickle. In this format every file says itself which part of which tensor
it holds, so that any number of processes can read what any other number wrote, and nothing is ever unpickled from disk.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor


def write(folder: Path, tensors: Mapping[str, DTensor]) -> None:
    """Write this process's rows into `folder`; all processes do so together."""
    save(dict(tensors), storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True))


def shapes(folder: Path) -> dict[str, torch.Size]:
    """Return the shape of each whole tensor in a folder of safetensors, spread or not."""
    described: Any = HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    return {name: tensor.size for name, tensor in described.items()}


def read(folder: Path, targets: Mapping[str, DTensor]) -> dict[str, DTensor]:
    """Fill this process's rows of `targets`; all processes do so together."""
    found = dict(targets)
    load(found, storage_reader=HuggingFaceStorageReader(str(folder)))
    return found


def joined(folder: Path) -> dict[str, Tensor]:
    """Return all tensors whole, read by this process alone."""
    found = {name: torch.empty(shape) for name, shape in shapes(folder).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it reads in one process is what it was asked for
        load(found, storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=True)
    return found
