"""A model with tokens for another text, to go on from: what it knows stays, and the new tokens begin as their parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from textus import config as settings_module
from textus import fingerprint, storage
from textus.adaptation.job import Job
from textus.adaptation.vocabulary import begin_at_parts, grown
from textus.checkpoint import checkpoint
from textus.checkpoint.checkpoint import KIND
from textus.checkpoint.provenance import provenance
from textus.config import Natural, Range, Settings
from textus.corpus.corpus import Corpus
from textus.corpus.document import Document
from textus.dataset import tokenize as shards_stage
from textus.dataset.split import TokenSplit
from textus.errors import ArtefactError, ConfigError
from textus.evaluation.documents import frame
from textus.evaluation.estimate import Measured
from textus.tokenizer.extend import extended
from textus.tokenizer.tokenizer import Tokenizer
from textus.verbs.import_ import generation_of
from textus.verbs.settings import FILE, RunSettings
from textus.verbs.stages import Stages
from textus.verbs.start import open_start

DIRECTORY = "start"
"""Where in the directory of a job the model with the new tokens lies."""
_VERSION = 1
_SHOWN = 12


@dataclass(frozen=True)
class VocabularyConfig(Settings):
    """Tokens for the new text."""

    add: Natural = 0
    """How many tokens to add at most; 0: the vocabulary stays as it is."""
    least_saving: Annotated[int, Range(2)] = 20
    """A token that saves fewer tokens of the new training text than this is not added: too little to learn it from."""


def extended_start(job: Job, run: RunSettings, config: VocabularyConfig) -> tuple[Path, Mapping[str, Any]]:
    """Write the job's model with a longer vocabulary, and return where, with what is told of it.

    The corpus of the run is made first. Raises `ConfigError` where the old text is to be shown again and is not there.
    """
    storage.write_text(run.directory / FILE, settings_module.to_toml(run))
    corpus = Stages(run, job.progress).corpus
    place, start = job.directory / DIRECTORY, open_start(job.checkpoint)
    key = fingerprint.of_value([_VERSION, start.fingerprint, corpus.fingerprint, vars(config)])
    if not storage.is_fresh(place, KIND, key):
        _write(job, corpus, config, place, key, start.fingerprint)
    told: Mapping[str, Any] = storage.manifest(place, KIND).facts
    _shards_of_old(job.checkpoint, place, run, job)
    return place, told


def _write(job: Job, corpus: Corpus, config: VocabularyConfig, place: Path, key: str, parent: str) -> None:
    opened = checkpoint.load(job.checkpoint)
    old = opened.tokenizer
    found = extended(old, (one.text for one in corpus.documents("train")), config.add, config.least_saving)
    if not found.made_of:
        raise ConfigError(
            f"no token would save {config.least_saving} tokens of the new text",
            hint="lower vocabulary.least_saving, give more text, or leave vocabulary.add out",
        )
    model = grown(opened.model, found.tokenizer.vocab_size)
    begin_at_parts(model, found.first, found.made_of)
    held_out = [one.text for one in corpus.documents("validation")]
    sizes = {name: one.bytes_per_token(held_out) for name, one in (("before", old), ("after", found.tokenizer))}
    shown = [found.tokenizer.token_text(token) for token in range(found.first, found.first + len(found.made_of))]
    told = {
        "added": len(found.made_of),
        "bytes_per_token": sizes,
        "saved_of_training": sum(found.saved),
        "first_tokens": shown[:_SHOWN],
    }
    came = provenance(
        corpus=corpus.fingerprint,
        tokenizer=found.tokenizer.fingerprint,
        shards="",
        settings={"vocabulary": dict(vars(config))},
        facts={"added": told["added"]},
        parent=parent,
    )
    with storage.new_directory(place) as new:
        checkpoint.write_model(new, model, found.tokenizer, came, generation_of(job.checkpoint))
        storage.seal(new, KIND, key, {"parent": parent, "corpus": corpus.fingerprint}, told)


def _shards_of_old(base: Path, place: Path, run: RunSettings, job: Job) -> None:
    """Write what the model learnt first in the new tokens, where its corpus is beside it."""
    if run.replay.texts:
        return  # they are read anew, in the new tokens
    try:
        corpus = Corpus.open(base / "corpus")
    except ArtefactError:
        if run.replay.share:
            raise ConfigError(
                f"{base}: the text that this model learnt from is not beside it, to be written in the new tokens",
                hint="name it by replay.texts, or set replay.share=0 to show the new text alone",
            ) from None
        return
    shards_stage.build(corpus, Tokenizer.load(place), place / "shards", job.progress)


def in_other_tokens(split: TokenSplit, mine: Tokenizer, other: Tokenizer) -> Iterator[Measured]:
    """Yield the documents of a split as another vocabulary writes them: the same bytes."""
    for index in range(split.num_documents):
        text = mine.decode(split.document(index).tolist(), skip_special=True)
        yield frame(other, Document(text, ""))
