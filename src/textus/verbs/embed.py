"""Turn texts into vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from textus.checkpoint.checkpoint import Checkpoint
from textus.config import Range, check
from textus.errors import ConfigError, InputError
from textus.model.headed import Headed
from textus.model.hidden import padded
from textus.model.pooling import Pooling, pool, shortened
from textus.model.transformer import Reading
from textus.objectives.measure import evaluating
from textus.verbs.load import load

_ROWS = 32
"""Texts that are read side by side."""


def embed(
    model: str | Path | Checkpoint,
    texts: str | Sequence[str],
    *,
    pooling: Pooling | Literal["auto"] = "auto",
    dimensions: int | Literal["all"] = "all",
    normalise: bool = True,
    device: str = "cpu",
) -> Float[ndarray, "texts dimensions"]:
    """Return one vector for each text, of length 1 unless told otherwise.

    `pooling` is "auto" for what a model was adapted to make vectors by, and for the mean of all states with others.
    A model that reads both ways does so; one that reads from left to right only is read so, and its first state, which
    has seen nothing, is refused. `dimensions` keeps the first numbers of each vector. A text longer than the context is
    refused.
    """
    opened = model if isinstance(model, Checkpoint) else load(model, device=device)
    network, tokenizer = opened.model, opened.tokenizer
    reads: Reading = "bidirectional" if "bidirectional" in network.config.readings else "causal"
    pooling = pooling_of(opened) if pooling == "auto" else pooling
    if reads == "causal" and pooling == "cls":
        raise ConfigError(
            "the first state of a model that reads from left to right has seen nothing of the text",
            hint="choose --pooling mean or last, or train a model with objective.name=masked",
        )
    size = network.config.hidden_size
    kept = size if dimensions == "all" else dimensions
    check(Annotated[int, Range(1, size)], kept, "dimensions", "embed")
    rows = [tokenizer.frame(tokenizer.encode(text)) for text in ([texts] if isinstance(texts, str) else texts)]
    _check(rows, network.config.context_length)
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    found = np.zeros((len(rows), kept), np.float32)
    with evaluating(network), torch.inference_mode():
        for start in range(0, len(order), _ROWS):
            part = order[start : start + _ROWS]
            tokens, documents = padded([rows[number] for number in part], network.embedding.weight.device)
            states = network.encode(tokens, documents, attention=reads).float()
            there = torch.ones_like(tokens, dtype=torch.bool) if documents is None else documents >= 0
            found[part] = shortened(pool(states, there, pooling), kept, normalise).cpu().numpy()
    return found


def pooling_of(opened: Checkpoint) -> Pooling:
    """Return by which states a model makes vectors unless told otherwise."""
    model = opened.model
    return model.task.pooling if isinstance(model, Headed) and model.task.task == "embed" else "mean"


def _check(rows: Sequence[Sequence[int]], context: int) -> None:
    for number, row in enumerate(rows, 1):
        if len(row) > context:
            raise InputError(
                f"text {number} has {len(row)} tokens, the one before it included; the model reads at most {context}",
                hint="cut it into passages, and embed each",
            )
