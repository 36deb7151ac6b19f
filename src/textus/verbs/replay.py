"""What a model learnt first, shown again while it learns something else, so that it is not forgotten."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from textus import fingerprint
from textus.corpus import pipeline as corpus_stage
from textus.corpus.config import CorpusConfig
from textus.dataset import tokenize as shards_stage
from textus.dataset.config import ReplayConfig
from textus.dataset.mixture import Mixture
from textus.dataset.pack import Windows
from textus.dataset.selection import Selection
from textus.dataset.split import TokenSplit
from textus.dataset.tokenize import Shards
from textus.errors import ArtefactError, ConfigError
from textus.progress import SILENT, Progress
from textus.tokenizer.tokenizer import Tokenizer

DIRECTORY = "replay"
"""Holds the corpus and the shards of the texts that are shown again, where they are given."""


def old_shards(
    start: Path,
    config: ReplayConfig,
    corpus: CorpusConfig,
    tokenizer: Tokenizer,
    directory: Path,
    progress: Progress = SILENT,
) -> Shards:
    """Return the tokens of what the model in `start` learnt first: of the texts that are named, or its run's own.

    Raises `ConfigError` where there are none, or they are of another vocabulary.
    """
    if config.texts:
        place = directory / DIRECTORY
        built = corpus_stage.build(config.texts, place / "corpus", corpus, progress)
        return shards_stage.build(built, tokenizer, place / "shards", progress)
    hint = "name what it learnt from by replay.texts, or set replay.share=0 to show the new text alone"
    try:
        found = Shards.open(start / "shards")
    except ArtefactError:
        raise ConfigError(f"{start}: what this model learnt from is not beside it", hint=hint) from None
    if found.split("train").tokenizer_fingerprint != tokenizer.fingerprint:
        raise ConfigError(f"{start}: the shards beside this model are of another vocabulary", hint=hint)
    return found


def with_replay(shown: Windows | Mixture, old: TokenSplit, share: float, seed: int) -> Mixture:
    """Mix the windows of a text with those of an older one, which has this share of them."""
    split = shown.split
    joined = TokenSplit(
        "train",
        [*split.shards, *old.shards],
        fingerprint.of_parts([split.data_fingerprint, old.data_fingerprint]),
    )
    numbers = split.num_documents + np.arange(old.num_documents)
    again = Windows(Selection(joined, "replay", numbers), shown.context_length, shown.offset, seed)
    if isinstance(shown, Windows):
        return Mixture(("new", "replay"), (shown, again), (1 - share, share), joined)
    rest = (1 - share) / sum(shown.weights)
    weights = (*(weight * rest for weight in shown.weights), share)
    return Mixture((*shown.names, "replay"), (*shown.windows, again), weights, joined)
