"""Any family of models, written as transformers has it and read back; which one, the config says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textus.checkpoint import layout as layouts
from textus.checkpoint.bert import BERT
from textus.checkpoint.gpt2 import GPT2
from textus.checkpoint.layout import Layout
from textus.checkpoint.llama import LLAMA, MISTRAL, QWEN2, QWEN3
from textus.checkpoint.modernbert import MODERNBERT
from textus.errors import CheckpointError
from textus.model.config import ModelConfig
from textus.model.family import TRAITS, Family
from textus.model.transformer import Transformer

LAYOUTS: dict[Family, Layout] = {
    layout.family: layout for layout in (QWEN3, LLAMA, MISTRAL, QWEN2, GPT2, BERT, MODERNBERT)
}


def from_config(values: Mapping[str, Any], path: Path) -> ModelConfig:
    """Read a config; raise `CheckpointError` naming `path` and the key for a family or a value that is not read."""
    return layouts.config_from(layout_of(values, path), values, path)


def to_config(config: ModelConfig, tokens: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    """Write a config as transformers reads it; `tokens` are the ids that begin, end and pad a text."""
    return layouts.config_to(LAYOUTS[config.family], config, tokens, dtype)


def from_weights(
    weights: Mapping[str, Tensor], config: ModelConfig, path: Path, *, body_only: bool = False
) -> tuple[dict[str, Tensor], list[str]]:
    """Return weights by our names, and the names of those that were left out.

    Raises `CheckpointError` naming `path` where one is missing or not ours to read. `body_only`: without what reads the
    states.
    """
    layout = LAYOUTS[config.family]
    return layouts.weights_from(layout, weights, config, _own(config), path, body_only=body_only)


def to_weights(state: Mapping[str, Tensor], config: ModelConfig, *, body_only: bool = False) -> dict[str, Tensor]:
    """Return our weights by their names; a tied head is not written twice."""
    return layouts.weights_to(LAYOUTS[config.family], state, config, body_only=body_only)


def weight_names(config: ModelConfig) -> dict[str, str]:
    """Return what other libraries call each of our weights, a tied head's too, where it is one of theirs."""
    found = layouts.names(LAYOUTS[config.family], config, _own(config) | {"head.weight"})
    return {ours[0]: theirs for theirs, ours in found.items() if len(ours) == 1}


def _own(config: ModelConfig) -> set[str]:
    """Return the names of our parameters, a tied head's left out."""
    with torch.device("meta"):
        return set(dict(Transformer(config).named_parameters()))


def layout_of(values: Mapping[str, Any], path: Path) -> Layout:
    """Return the layout of a config; raise `CheckpointError` naming `path` where it is of a family that is not read.

    Code that comes with a model is never run.
    """
    named = values.get("architectures")
    architecture = named[0] if isinstance(named, list) and len(named) == 1 else named
    if values.get("auto_map"):
        raise CheckpointError(
            f"{path}: asks for Python code that comes with the model (auto_map), and such code is never run",
            hint=f"take a model of a known family: {_known()}",
        )
    for layout in LAYOUTS.values():
        if architecture in layout.architectures or (not named and values.get("model_type") == layout.model_type):
            return layout
    named = architecture or values.get("model_type") or "no architecture"
    for layout in LAYOUTS.values():
        if named == f"{_stem(layout)}Model":
            raise CheckpointError(
                f"{path}: holds {named}, a {TRAITS[layout.family].name} without the part that predicts tokens",
                hint=f"take the directory of a {' or '.join(layout.architectures)}",
            )
    raise CheckpointError(f"{path}: holds {named}, which is not read", hint=f"models that can be opened: {_known()}")


def _stem(layout: Layout) -> str:
    """Return what the names of a family's classes begin with."""
    return re.sub(r"(For\w+|LMHeadModel)$", "", layout.architectures[0])


def _known() -> str:
    return ", ".join(
        f"{TRAITS[layout.family].name} ({' or '.join(layout.architectures)})" for layout in LAYOUTS.values()
    )
