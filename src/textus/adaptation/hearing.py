"""Let a model hear an adapter while it writes or is measured; several can wait on one base, by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from textus.adaptation import lora
from textus.adaptation.base import fingerprint_of
from textus.checkpoint.checkpoint import Checkpoint
from textus.errors import CheckpointError
from textus.tokenizer.tokenizer import FILE, Tokenizer


def with_adapter(opened: Checkpoint, directory: Path, name: str = "given") -> Checkpoint:
    """Put the adapter in `directory` on a model that is open, under a name, and let it be heard.

    `model.adapter.hear` chooses another one, or none. Rows of tokens that an adapter brings stay, whoever is heard.
    Raises `CheckpointError` for an adapter of another base or vocabulary.
    """
    if (directory / FILE).is_file():
        theirs = Tokenizer.load(directory)
        if theirs.fingerprint != opened.tokenizer.fingerprint:
            raise CheckpointError(
                f"{directory}: an adapter for a vocabulary of {theirs.vocab_size} tokens; the model has another, of "
                f"{opened.tokenizer.vocab_size}",
                hint="give it with the model that it was trained on",
            )
    lora.load(opened.model, directory, name, fingerprint_of(opened.directory))
    return replace(opened, adapter=directory)
