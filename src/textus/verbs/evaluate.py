"""Measure a model on text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from textus.checkpoint.checkpoint import Checkpoint
from textus.corpus.clean import clean
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.read import read
from textus.dataset.shard import DataHash
from textus.dataset.split import TokenSplit
from textus.dataset.tokenize import Shards
from textus.errors import ArtefactError, ConfigError
from textus.evaluation.documents import frame, split_documents
from textus.evaluation.estimate import Evaluation, Measured
from textus.evaluation.readings import evaluate_readings
from textus.progress import SILENT, Progress
from textus.verbs.load import load
from textus.verbs.settings import kept_settings


def evaluate(
    model: str | Path | Checkpoint,
    texts: str | Path | Sequence[str | Path] = (),
    *,
    split: str = "validation",
    stride: int | Literal["auto"] = "auto",
    device: str = "cpu",
    config: CorpusConfig | Literal["run"] = "run",
    progress: Progress = SILENT,
) -> Evaluation:
    """Return loss, perplexity and bits per byte with standard errors, on `texts` or on a part of the run's corpus.

    A model that reads both ways has a loss and an accuracy on hidden tokens, one that was trained by diffusion a bound
    on its bits per byte as well, a hybrid both kinds.

    `texts` are read and cleaned as `config` says, or as the run's own corpus was; nothing is deduplicated or split.
    Windows advance by `stride` new tokens (auto: half the context), so each token is predicted from at least the rest
    of a context.
    """
    opened = model if isinstance(model, Checkpoint) else load(model, device=device)
    context = opened.model.config.context_length
    paths = [texts] if isinstance(texts, str | Path) else list(texts)
    step = max(1, context // 2) if stride == "auto" else stride
    if not 1 <= step <= context:
        raise ConfigError(f"a stride of {step} does not fit a context of {context}", hint=f"give 1 to {context}")
    if paths and split != "validation":
        raise ConfigError(f"texts were given, and the {split} part as well", hint="measure one, then the other")
    if paths:
        reading = kept_settings(opened.directory).corpus if config == "run" else config
        documents = list(_documents(paths, reading, progress))
        data = DataHash.of(document.id for document in documents)
    else:
        part = _part(opened.directory, split)
        if part.tokenizer_fingerprint != opened.tokenizer.fingerprint:
            raise ArtefactError(
                f"{opened.directory}: its shards were made with another tokenizer",
                hint="run `textus train` on it again, or name the texts to measure on",
            )
        data = part.data_fingerprint

    def framed() -> Iterable[Measured]:
        return (frame(opened.tokenizer, document) for document in documents) if paths else split_documents(part)

    return evaluate_readings(
        opened.model,
        opened.tokenizer,
        framed,
        data=data,
        stride=step,
        bound=_is_diffusion(opened),
        progress=progress,
    )


def _is_diffusion(opened: Checkpoint) -> bool:
    settings = opened.provenance.get("settings") or {}
    return bool((settings.get("objective") or {}).get("name") == "diffusion")


def _documents(paths: Sequence[str | Path], config: CorpusConfig, progress: Progress) -> Iterator[Document]:
    for document in read(paths, config, progress):
        text, _ = clean(document.text, config)
        if text.strip():
            yield Document(text, document.source, document.meta)


def _part(directory: Path, name: str) -> TokenSplit:
    try:
        return Shards.open(directory / "shards").split(name)
    except ArtefactError:
        raise ArtefactError(f"{directory}: has no {name} part beside it", hint="name the texts to measure on") from None
