"""Score texts with a network that was taught to: whole, however long they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from textus import storage
from textus.adaptation.encode import text_tokens
from textus.adaptation.predict import text_logits
from textus.checkpoint.checkpoint import Checkpoint
from textus.errors import ArtefactError, ConfigError
from textus.model.headed import Headed
from textus.safety.taxonomy import CATEGORIES
from textus.tokenizer.tokenizer import Tokenizer

THRESHOLDS = "thresholds.json"
"""Where the directory of a guard keeps from which score on a category counts as found."""
_SHARED = 4
"""Of neighbouring windows, one in so many tokens is in both: what stands at a border is read whole in one of them."""


class Network:
    """Give the probability of each category; of a text longer than the context the highest over its windows."""

    def __init__(self, model: Headed, tokenizer: Tokenizer, thresholds: Mapping[str, float] = MappingProxyType({})):
        self.model, self.tokenizer = model, tokenizer
        self.thresholds = thresholds
        """The score from which on a category counts as found, where that was measured."""
        self._ahead: dict[str, Mapping[str, float]] = {}

    @classmethod
    def of(cls, opened: Checkpoint) -> Network:
        """Take a model that was adapted to give texts labels; raise `ConfigError` where it is none of harms."""
        model, directory = opened.model, opened.directory
        if not isinstance(model, Headed) or model.task.task != "classify" or model.task.in_pairs:
            raise ConfigError(
                f"{directory}: no classifier of texts",
                hint="make one: textus adapt MODEL labelled.jsonl --method moderate",
            )
        if not set(model.task.labels) & set(CATEGORIES):
            raise ConfigError(
                f"{directory}: its labels are no categories of a policy: {', '.join(model.task.labels[:5])}",
                hint=f"teach it some of: {', '.join(CATEGORIES)}",
            )
        return cls(model, opened.tokenizer, read_thresholds(directory))

    def __call__(self, text: str) -> Mapping[str, float]:
        """Return the probability of each category that a policy knows."""
        found = self._ahead.pop(text, None)
        return self._shares(self.logits([text])[0]) if found is None else found

    def ahead(self, texts: Sequence[str]) -> None:
        """Read texts together that are asked for one by one soon."""
        self._ahead = dict(zip(texts, map(self._shares, self.logits(texts)), strict=True))

    def _shares(self, logits: Float[ndarray, " labels"]) -> Mapping[str, float]:
        task, chances = self.model.task, torch.from_numpy(logits)
        shares = (chances.sigmoid() if task.several else chances.softmax(0)).tolist()
        return {name: share for name, share in zip(task.labels, shares, strict=True) if name in CATEGORIES}

    def logits(self, texts: Sequence[str]) -> Float[ndarray, "texts labels"]:
        """Return a number for each text and label: the highest over the windows of the text."""
        context = self.model.config.context_length
        parts = [windows(text_tokens(self.tokenizer, text), context) for text in texts]
        found = text_logits(self.model, [window for part in parts for window in part]).numpy()
        firsts = np.cumsum([0, *map(len, parts)])[:-1]
        highest: np.ndarray = np.maximum.reduceat(found, firsts, axis=0)
        return highest


def windows(tokens: Sequence[int], context: int) -> list[list[int]]:
    """Cut tokens into what a model can read at once: each window begins with the first token, and overlaps the next.

    >>> windows([0, 1, 2, 3, 4, 5, 6], 5)
    [[0, 1, 2, 3, 4], [0, 4, 5, 6]]
    """
    first, body, room = tokens[0], tokens[1:], context - 1
    step = max(1, room - room // _SHARED)
    starts = range(0, max(1, len(body) - room + step), step)
    return [[first, *body[at : at + room]] for at in starts]


def read_thresholds(directory: Path) -> dict[str, float]:
    """Return the thresholds that a guard was given when it was made, if it was; raise `ArtefactError` if damaged."""
    path = directory / THRESHOLDS
    if not path.is_file():
        return {}
    values = storage.read_json(path)
    found = values.get("thresholds") if isinstance(values, dict) else None
    is_whole = isinstance(found, dict) and all(isinstance(one, int | float) and 0 <= one <= 1 for one in found.values())
    if not isinstance(found, dict) or not is_whole:
        raise ArtefactError(f"{path}: no thresholds between 0 and 1", hint="adapt the model again, or restore the file")
    return {str(name): float(one) for name, one in found.items()}
