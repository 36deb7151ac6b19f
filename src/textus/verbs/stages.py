"""The stages before training, each made once and kept: a stage runs again only when its inputs or settings changed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from textus import storage
from textus.corpus import demo
from textus.corpus import pipeline as corpus_stage
from textus.corpus.config import CorpusConfig
from textus.corpus.corpus import Corpus
from textus.corpus.steps.options import Models
from textus.corpus.trail import WORK
from textus.dataset import tokenize as shards_stage
from textus.dataset.tokenize import Shards
from textus.errors import ConfigError, ResourceError
from textus.progress import SILENT, Progress
from textus.tokenizer import train as tokenizer_stage
from textus.tokenizer.tokenizer import Tokenizer
from textus.verbs.settings import FILE, RunSettings

if TYPE_CHECKING:
    from textus.verbs.start import Start

DEMO = "demo:"
_MADE = ("corpus", "tokenizer", "shards")
_SIGNS = (FILE, storage.MANIFEST, f"corpus{WORK}", *(f"{stage}/{storage.MANIFEST}" for stage in _MADE))
"""Names of which every run has one, however early it was stopped."""


@dataclass
class Stages:
    """The artefacts of a run directory, made when they are first asked for."""

    settings: RunSettings
    progress: Progress = SILENT

    def __post_init__(self) -> None:
        _refuse_strangers(self.directory)

    @property
    def directory(self) -> Path:
        """Return the run's directory."""
        return self.settings.directory

    @cached_property
    def corpus(self) -> Corpus:
        """Read, clean and split the inputs."""
        inputs, directory, config = self.settings.inputs, self.directory / "corpus", self.settings.corpus
        if not inputs:
            raise ConfigError("no text was given", hint="name files or folders: textus train my_texts/")
        models = _models(config)
        if not inputs[0].startswith(DEMO):
            return corpus_stage.build(inputs, directory, config, self.progress, models)
        named = {DEMO + name: name for name in demo.NAMES}
        if len(inputs) > 1 or inputs[0] not in named:
            hint = f"give {' or '.join(named)}, alone"
            raise ConfigError(f"no demonstration text `{' '.join(inputs)}`", hint=hint)
        name = named[inputs[0]]
        documents = demo.demo_documents(name)
        return corpus_stage.build_from(documents, demo.demo_key(name), directory, config, self.progress, models)

    @cached_property
    def start(self) -> Start | None:
        """Look at the model that training goes on from, if it does."""
        directory = self.settings.training.start_from
        if not directory:
            return None
        # Only then do the stages before training need what models need.
        from textus.verbs.start import open_start

        return open_start(Path(directory))

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Learn the vocabulary from the training part, or take that of the model that training starts from."""
        if self.start:
            return tokenizer_stage.adopt(self.start.directory, self.directory / "tokenizer")
        return tokenizer_stage.build(self.corpus, self.directory / "tokenizer", self.settings.tokenizer, self.progress)

    @cached_property
    def shards(self) -> Shards:
        """Turn every part into tokens."""
        return shards_stage.build(self.corpus, self.tokenizer, self.directory / "shards", self.progress)


class Made(Stages):
    """The artefacts of a run directory that another process of the same run has made: opened, and never made."""

    @cached_property
    def corpus(self) -> Corpus:
        """Open the corpus."""
        return Corpus.open(self.directory / "corpus")

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Open the vocabulary."""
        return Tokenizer.load(self.directory / "tokenizer")

    @cached_property
    def shards(self) -> Shards:
        """Open the tokens."""
        return Shards.open(self.directory / "shards")


def _models(config: CorpusConfig) -> Models:
    """Open the models that judge and compare texts: only then does preparing them need what models need."""
    judge = meaning = None
    if config.filter.reference:
        from textus.verbs.reference import reference

        judge = reference(config.filter.reference)
    if config.semantic.is_on:
        from textus.verbs.embedding import embedding

        meaning = embedding(config.semantic.model)
    return Models(judge, meaning)


def _refuse_strangers(directory: Path) -> None:
    """Raise `ResourceError` where a directory holds files, and none that tell of a run: they might be written over."""
    with storage.refusals(directory):
        if not directory.is_dir() or any((directory / name).exists() for name in _SIGNS):
            return
        strange = sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))
    if strange:
        raise ResourceError(
            f"{directory}: holds files that Textus did not make ({', '.join(strange[:3])})",
            hint="choose a new directory with -o; a run's own is known by what is in it",
        )
