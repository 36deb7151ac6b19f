"""A model on disk: a Hugging Face model directory with `provenance.json` beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from textus import storage
from textus.checkpoint import families, headed
from textus.checkpoint import weights as stored
from textus.checkpoint.layout import left_out
from textus.checkpoint.training_state import KIND as TRAINING_KIND
from textus.errors import CheckpointError
from textus.model.config import ModelConfig
from textus.model.headed import Headed
from textus.model.transformer import Transformer
from textus.tokenizer.tokenizer import Tokenizer

KIND = "checkpoint"
"""What the manifest of a sealed model directory says it is."""
CONFIG, WEIGHTS, PROVENANCE = "config.json", stored.WEIGHTS, "provenance.json"
GENERATION = "generation_config.json"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Hold a model with all that is needed to use it and to trust it."""

    directory: Path
    """Where it was read from."""
    model: Transformer
    """The network, in evaluation mode."""
    tokenizer: Tokenizer
    """The vocabulary that it was trained with."""
    provenance: dict[str, Any]
    """Where it came from; empty for a model that was made elsewhere."""
    adapter: Path | None = None
    """The directory of the adapter that it hears, if it hears one."""
    left_out: tuple[str, ...] = ()
    """What its directory holds and nothing here reads: weights of other heads, and settings for training alone."""

    @property
    def config(self) -> ModelConfig:
        """The model's shape."""
        return self.model.config

    @property
    def manner(self) -> Path:
        """Return the directory that says how it writes: that of its adapter, where this says so."""
        told = self.adapter is not None and (self.adapter / GENERATION).is_file()
        return self.adapter if told and self.adapter is not None else self.directory

    @property
    def ends(self) -> tuple[int, ...]:
        """The tokens besides END that end a text, as `generation_config.json` says: a chat model has one of its own."""
        path = self.manner / GENERATION
        values = storage.read_json(path, CheckpointError) if path.is_file() else {}
        named = values.get("eos_token_id") if isinstance(values, dict) else None
        known = range(self.tokenizer.vocab_size)
        ids = [token for token in (named if isinstance(named, list) else [named]) if type(token) is int]
        found = dict.fromkeys((*ids, *self.tokenizer.stops))
        return tuple(token for token in found if token in known and token != self.tokenizer.end)


def write_model(
    directory: Path,
    model: Transformer,
    tokenizer: Tokenizer,
    provenance: Mapping[str, Any],
    generation: Mapping[str, Any] | None = None,
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a model directory into an existing one; whole or not at all is up to `storage.new_directory` around it.

    Weights keep the format that the model has. `generation` adds sampling defaults that transformers will use;
    `weights` are written in the place of the model's own.
    """
    config = model.config
    assert tokenizer.vocab_size <= config.vocab_size, "the tokenizer knows tokens that the model does not"
    dtype = str(model.embedding.weight.dtype).removeprefix("torch.")
    with storage.refusals(directory):
        tokens = {"bos_token_id": tokenizer.begin, "eos_token_id": tokenizer.end, "pad_token_id": tokenizer.padding}
        written = families.to_config(config, tokens, dtype)
        if isinstance(model, Headed):
            written = headed.to_config(written, model)
            headed.write_modules(directory, model)
        storage.write_json(directory / CONFIG, written)
        storage.write_json(directory / GENERATION, generation_config(tokenizer, generation or {}))
        storage.write_json(directory / PROVENANCE, dict(provenance))
        tokenizer.save(directory, config.context_length)
        state = {name: value.detach().cpu() for name, value in (weights or model.state_dict()).items()}
        # the metadata is what transformers asks for
        named = headed.to_weights(state, model) if isinstance(model, Headed) else families.to_weights(state, config)
        save_file(named, directory / WEIGHTS, metadata={"format": "pt"})
        # safetensors lets nobody else read what it writes
        (directory / WEIGHTS).chmod((directory / CONFIG).stat().st_mode)


def generation_config(tokenizer: Tokenizer, sampling: Mapping[str, Any]) -> dict[str, Any]:
    """Return what transformers reads about generating: the tokens that end a text, and the defaults of `sampling`."""
    ends = [tokenizer.end, *tokenizer.stops]
    return {
        "bos_token_id": tokenizer.begin,
        "eos_token_id": ends if tokenizer.stops else tokenizer.end,
        "pad_token_id": tokenizer.padding,
        **sampling,
    }


def load(directory: Path, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> Checkpoint:
    """Open a model directory, of ours or of any family that is known.

    `dtype` None keeps the format in which we have stored the weights, and takes those of others as float32. A directory
    of ours must be as its manifest says; one that was made elsewhere has none. Raises `CheckpointError` saying which
    file is missing, damaged, or of a kind that is not read.
    """
    directory = Path(directory)
    settled(directory)
    model, left = _load(directory, device, dtype)
    tokenizer = Tokenizer.load(directory)
    if tokenizer.vocab_size > model.config.vocab_size:
        raise CheckpointError(
            f"{directory}: its tokenizer knows {tokenizer.vocab_size} tokens, its model {model.config.vocab_size}",
            hint="restore the tokenizer.json that belongs to the weights",
        )
    path = directory / PROVENANCE
    origin = storage.read_json(path, CheckpointError) if path.exists() else {}
    return Checkpoint(directory, model, tokenizer, origin, left_out=tuple(left))


def load_model(directory: Path, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> Transformer:
    """Open only the network of a model directory, in evaluation mode."""
    return _load(Path(directory), device, dtype)[0]


def _load(directory: Path, device: torch.device | str, dtype: torch.dtype | None) -> tuple[Transformer, list[str]]:
    """Open the network of a directory; return what was left out of it as well."""
    if not directory.is_dir():
        raise CheckpointError(f"{directory}: no such directory", hint="give the directory of a trained model")
    values = _config_values(directory)
    with torch.device("meta"):
        model = (
            Headed(*headed.from_config(values, directory / CONFIG))
            if headed.is_headed(values)
            else Transformer(families.from_config(values, directory / CONFIG))
        )
    state, left = _read_state(directory, model)
    model.load_state_dict(state, assign=True)
    model.tie()
    if dtype is None and not (directory / PROVENANCE).exists():
        dtype = torch.float32
    settings = left_out(families.LAYOUTS[model.config.family], values)
    return model.requires_grad_().to(device=device, dtype=dtype).eval(), [*settings, *left]


def settled(directory: Path) -> None:
    """Complete what a killed process was putting here, and check all files of a directory that has our manifest."""
    storage.settle(directory)
    if not (directory / storage.MANIFEST).is_file():
        return
    values = storage.read_json(directory / storage.MANIFEST, CheckpointError)
    if isinstance(values, dict) and {"kind", "files", "checksum"} <= set(values):  # others use that name too
        kind = TRAINING_KIND if values["kind"] == TRAINING_KIND else KIND
        storage.verify(directory, kind, CheckpointError)


def load_weights(directory: Path, model: Transformer) -> None:
    """Put the weights of a model directory into a model that stands, in place: an optimizer keeps hold of them."""
    # what is the model's is all there: it has been looked at; what only training has is kept elsewhere
    model.load_state_dict(_read_state(directory, model)[0], strict=False)


def read_weights(directory: Path, model: Transformer) -> dict[str, Tensor]:
    """Read the weights of a model directory by our names, their shapes checked against those of `model`."""
    return _read_state(directory, model)[0]


def read_config(directory: Path) -> ModelConfig:
    """Read the shape of the language model in a directory."""
    values = _config_values(directory)
    if headed.is_headed(values):
        raise CheckpointError(
            f"{directory}: a model that was adapted to label or compare texts, which predicts no tokens",
            hint="give the model that it was made from",
        )
    return families.from_config(values, directory / CONFIG)


def _config_values(directory: Path) -> dict[str, Any]:
    if not (directory / CONFIG).is_file():
        raise CheckpointError(
            f"{directory / CONFIG}: no such file, so this is no model's directory",
            hint="give the directory of a finished run; `textus train` with a run's directory finishes it",
        )
    values = storage.read_json(directory / CONFIG, CheckpointError)
    if not isinstance(values, dict):
        raise CheckpointError(f"{directory / CONFIG}: not a model's config", hint="give the directory of a model")
    return values


def _read_state(directory: Path, model: Transformer) -> tuple[dict[str, Tensor], list[str]]:
    """Read the weights by our names, and hold their shapes against those of `model`; name those that are left out."""
    path = directory / WEIGHTS
    left: list[str] = []
    if isinstance(model, Headed):
        state = headed.from_weights(stored.read(directory), model, path)
    else:
        state, left = families.from_weights(stored.read(directory), model.config, path)
    if "positions.weight" in state:  # a model that goes on at a shorter context has no use for the others
        state["positions.weight"] = state["positions.weight"][: model.config.context_length]
    for name, wanted in model.own_parameters().items():
        if state[name].shape != wanted.shape:
            raise CheckpointError(
                f"{path}: {name} has shape {list(state[name].shape)}, and the config says {list(wanted.shape)}",
                hint="config.json and weights must belong together",
            )
    return state, left
