"""Take over a model that was made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from textus import fingerprint, storage
from textus.checkpoint import checkpoint, weights
from textus.checkpoint.checkpoint import CONFIG, GENERATION, KIND, Checkpoint
from textus.checkpoint.provenance import provenance
from textus.errors import CheckpointError, ConfigError
from textus.report import Report, Shown, Table
from textus.verbs.inspect_model import described

Format = Literal["float32", "bfloat16", "float16"]
_OWN = ("bos_token_id", "eos_token_id", "pad_token_id", "transformers_version", "_from_model_config")
"""What the tokenizer says, or nobody needs."""


@dataclass(frozen=True, eq=False)
class Imported(Shown):
    """What was taken over."""

    model: Checkpoint
    """As it stands in its new directory."""
    left_out: tuple[str, ...]
    """What its old directory holds and nothing here reads."""

    @property
    def report(self) -> Report:
        """Say what the model is."""
        table = {"directory": str(self.model.directory), **described(self.model)}
        if self.left_out:
            table["left out"] = ", ".join(self.left_out)
        return Report("Imported", (("Model", Table.of(table)),))

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        config, tokenizer = self.model.config, self.model.tokenizer
        return {
            "directory": str(self.model.directory),
            "family": config.family,
            "parameters": config.num_parameters(),
            "context_length": config.context_length,
            "tokenizer": {
                "kind": tokenizer.kind,
                "vocab_size": tokenizer.vocab_size,
                "is_lossless": tokenizer.is_lossless,
                "begin": tokenizer.begin,
                "end": tokenizer.end,
                "stops": list(tokenizer.stops),
            },
            "left_out": list(self.left_out),
        }


def import_(directory: str | Path, out: str | Path = "", *, dtype: Format = "float32") -> Imported:
    """Write a model that was made elsewhere as a directory of ours, of the family that it is of.

    `out` is `runs/` and the directory's name unless told otherwise, and nothing that stands there is replaced. The
    weights are stored as `dtype`. The new directory opens in transformers as the old one does.
    """
    origin = Path(directory)
    place = Path(out) if str(out) else Path("runs") / origin.resolve().name
    opened = checkpoint.load(origin, dtype=getattr(torch, dtype))
    files = [origin / CONFIG, *weights.files(origin)]
    parent = fingerprint.of_parts(fingerprint.of_file(file) for file in files)
    key = fingerprint.of_value({"parent": parent, "tokenizer": opened.tokenizer.fingerprint, "dtype": dtype})
    if not storage.is_fresh(place, KIND, key):
        if place.exists():
            raise ConfigError(f"{place}: is there already", hint="choose another place with -o, or delete it")
        _write(opened, place, key, parent, dtype)
    return Imported(checkpoint.load(place), opened.left_out)


def _write(opened: Checkpoint, place: Path, key: str, parent: str, dtype: Format) -> None:
    config = opened.config
    facts = {"family": config.family, "parameters": config.num_parameters()}
    came = provenance(
        corpus="",
        tokenizer=opened.tokenizer.fingerprint,
        shards="",
        settings={"import": {"dtype": dtype}},
        facts={**facts, "imported_from": opened.directory.resolve().name, "left_out": list(opened.left_out)},
        parent=parent,
    )
    with storage.new_directory(place) as new:
        checkpoint.write_model(new, opened.model, opened.tokenizer, came, generation_of(opened.directory))
        storage.seal(new, KIND, key, {"parent": parent}, facts)


def generation_of(directory: Path) -> Mapping[str, Any]:
    """Return how the model writes unless told otherwise, as its directory says it."""
    path = directory / GENERATION
    values = storage.read_json(path, CheckpointError) if path.is_file() else {}
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: not a JSON object", hint="delete it, or restore the one of the model")
    return {name: value for name, value in values.items() if name not in _OWN}
