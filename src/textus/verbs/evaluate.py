"""Measure a model on text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from textus.checkpoint.checkpoint import Checkpoint
from textus.corpus.config import CorpusConfig
from textus.corpus.document import Document
from textus.corpus.steps.leak import HELD_OUT
from textus.dataset.shard import DataHash
from textus.errors import ConfigError
from textus.evaluation.documents import frames, split_documents
from textus.evaluation.estimate import Evaluation, Measured
from textus.evaluation.readings import evaluate_readings
from textus.evaluation.tasks.measure import Scoring, TooLong
from textus.model.precision import Precision
from textus.progress import SILENT, Progress
from textus.verbs.contamination import contamination, corpus_beside, leakage_of
from textus.verbs.load import load
from textus.verbs.material import part_of, read_texts
from textus.verbs.settings import kept_settings
from textus.verbs.tasks import measure_tasks

_LOSSY = (
    "the tokenizer is not lossless: it changes a text (case, spaces, rare characters) before the model sees it, so "
    "bits per byte are of the changed text, and too good beside those of models that keep every byte"
)


def evaluate(
    model: str | Path | Checkpoint,
    texts: str | Path | Sequence[str | Path] = (),
    *,
    split: str = "validation",
    stride: int | Literal["auto"] = "auto",
    device: str = "cpu",
    config: CorpusConfig | Literal["run"] = "run",
    look_in_training: bool = True,
    tasks: str | Path | Sequence[str | Path] = (),
    task_settings: Mapping[str, Any] | None = None,
    scoring: Scoring = "auto",
    too_long: TooLong = "refuse",
    precision: Precision = "fp32",
    progress: Progress = SILENT,
) -> Evaluation:
    """Return loss, perplexity and bits per byte with standard errors, on `texts` or on a part of the run's corpus.

    A model that reads both ways has a loss and an accuracy on hidden tokens, one that was trained by diffusion a bound
    on its bits per byte as well, a hybrid both kinds.

    `texts` are read and cleaned as `config` says, or as the run's own corpus was; nothing is deduplicated or split.
    Windows advance by `stride` new tokens (auto: half the context), so each token is predicted from at least the rest
    of a context. `look_in_training` sets beside the scores what training has of the text, where the run's corpus is
    still beside its model: the leakage of the split, runs of words in common, and the scores of what it has not.

    With `tasks`, files of questions, these are measured in place of the run's corpus and beside `texts`, and the result
    is a `TaskEvaluation`. `task_settings` change their descriptions (`{"shots": 5}`); `scoring` names the way to ask
    (auto: all ways in which the model reads), `too_long` what becomes of items that the context does not hold.

    A GPU computes several times as fast in a `precision` of bf16, and a note says so beside the scores.
    """
    opened = model if isinstance(model, Checkpoint) else load(model, device=device)
    paths = [texts] if isinstance(texts, str | Path) else list(texts)
    if paths and split != "validation":
        raise ConfigError(f"texts were given, and the {split} part as well", hint="measure one, then the other")
    step = stride_of(opened, stride)
    if not paths and not tasks:
        return _measure_part(opened, split, step, look_in_training, precision, progress)
    if tasks:
        measured = None
        if paths:
            measured = evaluate(
                opened,
                paths,
                stride=step,
                config=config,
                look_in_training=look_in_training,
                precision=precision,
                progress=progress,
            )
        return measure_tasks(
            opened,
            tasks,
            settings=task_settings,
            scoring=scoring,
            too_long=too_long,
            look_in_training=look_in_training,
            texts=measured,
            precision=precision,
            progress=progress,
        )
    reading = kept_settings(opened.directory).corpus if config == "run" else config
    documents = read_texts(paths, reading, progress)
    return measure_texts(
        opened, documents, stride=step, look_in_training=look_in_training, precision=precision, progress=progress
    )


def measure_texts(
    opened: Checkpoint,
    documents: Iterable[Document],
    *,
    stride: int | Literal["auto"] = "auto",
    look_in_training: bool = True,
    precision: Precision = "fp32",
    progress: Progress = SILENT,
) -> Evaluation:
    """Measure a model on documents, which are gone through several times, as `evaluate` does."""
    data = DataHash.of(document.id for document in documents)

    def framed() -> Iterable[Measured]:
        return frames(opened.tokenizer, documents)

    found = _measure(opened, framed, data, stride_of(opened, stride), precision, progress)
    corpus = corpus_beside(opened.directory) if look_in_training else None
    if corpus is None:
        return found
    asked = kept_settings(opened.directory).corpus.contamination
    return replace(found, contamination=contamination(found, documents, corpus, asked, progress))


def _measure_part(
    opened: Checkpoint, split: str, stride: int, look_in_training: bool, precision: Precision, progress: Progress
) -> Evaluation:
    """Measure a model on a part of its own corpus."""
    part = part_of(opened, split)
    found = _measure(opened, lambda: split_documents(part), part.data_fingerprint, stride, precision, progress)
    corpus = corpus_beside(opened.directory) if look_in_training else None
    name = next((name for name in HELD_OUT if name == split), None)
    if corpus is None or name not in corpus.splits:
        return found
    asked = kept_settings(opened.directory).corpus.contamination
    shown = contamination(found, corpus.documents(name), corpus, asked, progress)
    return replace(found, contamination=shown, leakage=leakage_of(corpus) if shown or found.blocks is None else None)


def _measure(
    opened: Checkpoint,
    framed: Callable[[], Iterable[Measured]],
    data: str,
    stride: int,
    precision: Precision,
    progress: Progress,
) -> Evaluation:
    """Measure a model in every way that it reads."""
    found = evaluate_readings(
        opened.model,
        opened.tokenizer,
        framed,
        data=data,
        stride=stride,
        bound=_is_diffusion(opened),
        precision=precision,
        progress=progress,
    )
    return found if opened.tokenizer.is_lossless else replace(found, note=f"{found.note}; {_LOSSY}")


def stride_of(opened: Checkpoint, stride: int | Literal["auto"]) -> int:
    """Return how many new tokens a window has."""
    context = opened.model.config.context_length
    step = max(1, context // 2) if stride == "auto" else stride
    if not 1 <= step <= context:
        raise ConfigError(f"a stride of {step} does not fit a context of {context}", hint=f"give 1 to {context}")
    return step


def _is_diffusion(opened: Checkpoint) -> bool:
    settings = opened.provenance.get("settings") or {}
    return bool((settings.get("objective") or {}).get("name") == "diffusion")
