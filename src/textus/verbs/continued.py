"""Go on with another text, and with a share of what was learnt first, so that it is not forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from textus import fingerprint, storage
from textus.adaptation.instruct import side_by_side
from textus.adaptation.job import Adapted, Job
from textus.adaptation.kept import kept_or_made
from textus.adaptation.tune import training_table
from textus.checkpoint import checkpoint
from textus.checkpoint.checkpoint import Checkpoint
from textus.config import Settings
from textus.corpus.config import CorpusConfig
from textus.dataset.config import ReplayConfig
from textus.dataset.split import TokenSplit
from textus.dataset.tokenize import Shards
from textus.decoding.config import SamplingConfig
from textus.errors import ConfigError
from textus.evaluation.documents import split_documents
from textus.evaluation.estimate import Measured
from textus.evaluation.paired import OF_BYTES
from textus.evaluation.readings import evaluate_readings
from textus.objectives.config import ObjectiveConfig
from textus.progress import Progress
from textus.report import Report, Score, Section, Table
from textus.tokenizer.tokenizer import Tokenizer
from textus.training.config import ModelSettings, TrainConfig
from textus.verbs.extended import VocabularyConfig, extended_start, in_other_tokens
from textus.verbs.mixture import replayed
from textus.verbs.settings import RunSettings
from textus.verbs.stages import Made
from textus.verbs.start import open_start
from textus.verbs.train import RECORD, train_here

SHARE = 0.4
"""The part of the windows that shows the old text, unless told otherwise: the least of those measured that lost less
than 1 % on it (benchmarks/RESULTS.md)."""


@dataclass(frozen=True)
class ContinueSettings(Settings):
    """Going on with a model on another text."""

    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    """Reading, cleaning, splitting."""
    replay: ReplayConfig = field(default_factory=lambda: ReplayConfig(share=SHARE))
    """What is shown again of the text that the model learnt first."""
    vocabulary: VocabularyConfig = field(default_factory=VocabularyConfig)
    """Tokens that are added for the new text."""
    model: ModelSettings = field(default_factory=ModelSettings)
    """Its context; what its weights are cut to stays as it is."""
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """What is predicted: what the model was trained with."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is learnt; the rate rises to a tenth of the usual one, and falls to 0."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How it writes unless told otherwise."""


def continued(job: Job) -> Adapted:
    """Go on with the model of a job on its texts; the run is that of `textus train`, stage by stage."""
    settings: ContinueSettings = job.settings
    if settings.training.start_from:
        raise ConfigError(
            f"training.start_from is {settings.training.start_from}, and the model to go on with is given already",
            hint="leave it out",
        )
    run = RunSettings(
        inputs=tuple(map(str, job.data)),
        out=str(job.directory),
        corpus=settings.corpus,
        replay=settings.replay,
        model=settings.model,
        objective=settings.objective,
        training=replace(settings.training, start_from=str(job.checkpoint)),
        sampling=settings.sampling,
    )
    start, grown, own = open_start(job.checkpoint), None, None
    if settings.vocabulary.add:
        alone = replace(run, training=replace(run.training, start_from=""))
        place, grown = extended_start(job, alone, settings.vocabulary)
        run, own = replace(run, training=replace(run.training, start_from=str(place))), Tokenizer.load(job.checkpoint)
    result = train_here(run, job.progress)
    made = Made(run, job.progress)
    parts = {"new": made.shards.split("validation")}
    if (old := _old(made, settings)) is not None:
        parts["old"] = old.split("validation")
    readers = {name: _Reader(part, made.tokenizer, own) for name, part in parts.items()}
    before = _measured(job, "before", start.fingerprint, job.checkpoint, readers)
    weights = storage.manifest(job.directory, checkpoint.KIND).key
    after = _measured(job, "after", weights, job.directory, readers)
    record = storage.read_json(job.directory / RECORD)
    told = {
        "before": before,
        "replay": settings.replay.share,
        **({"vocabulary": dict(grown)} if grown else {}),
        "tokens_seen": result.tokens_seen,
        "training": {name: value for name, value in record.items() if name != "identity"},
    }
    sections: list[tuple[str, Section]] = [
        ("Held-out text, before and after", side_by_side(before, after)),
        ("Text", Table.of({**_text(made, old, settings), **_vocabulary(grown)})),
        ("Training", training_table(record)),
        *result.report.sections,
    ]
    scores = tuple(Score(**score) for score in after)
    return Adapted(job.directory, "continue", scores, Report(f"{job.directory.name}: continue", tuple(sections)), told)


def _old(made: Made, settings: ContinueSettings) -> Shards | None:
    """Return the old text, to measure on it even where none of it is shown; None where it is not there any more."""
    if settings.replay.share or settings.replay.texts:
        return replayed(made)
    try:
        return replayed(made)
    except ConfigError:
        return None


def _measured(job: Job, when: str, key: str, model: Path, parts: Mapping[str, _Reader]) -> Sequence[Mapping[str, Any]]:
    """Return the scores of a model on each part, named by it."""
    data = [reader.split.data_fingerprint for reader in parts.values()]

    def measure() -> dict[str, Any]:
        opened = checkpoint.load(model)
        found = [score for name, reader in parts.items() for score in _scores(opened, name, reader, job.progress)]
        return {"scores": found}

    found = kept_or_made(job.directory / f"{when}.json", fingerprint.of_value([key, *data]), measure)
    scores: Sequence[Mapping[str, Any]] = found["scores"]
    return scores


@dataclass(frozen=True, eq=False)
class _Reader:
    """A held-out part, for models that read it in its own tokens or in those of the vocabulary before."""

    split: TokenSplit
    tokenizer: Tokenizer
    """That of its tokens."""
    before: Tokenizer | None
    """The vocabulary before it was extended; None: it was not."""

    def documents(self, opened: Checkpoint) -> Iterator[Measured]:
        """Yield the documents in the tokens of a model."""
        if opened.tokenizer.fingerprint == self.tokenizer.fingerprint:
            return split_documents(self.split)
        return in_other_tokens(self.split, self.tokenizer, opened.tokenizer)


def _scores(opened: Checkpoint, name: str, reader: _Reader, progress: Progress) -> list[dict[str, Any]]:
    found = evaluate_readings(
        opened.model,
        opened.tokenizer,
        lambda: reader.documents(opened),
        data=reader.split.data_fingerprint,
        stride=max(1, opened.config.context_length // 2),
        bound=False,
        progress=progress,
    )
    # of different vocabularies, only what is told of bytes can stand side by side
    kept = [score for score in found.scores if reader.before is None or score.name in OF_BYTES]
    return [{**score.as_dict(), "name": f"{name}_{score.name}"} for score in kept]


def _text(made: Made, old: Shards | None, settings: ContinueSettings) -> dict[str, Any]:
    new = made.shards.split("train")
    rows: dict[str, Any] = {"tokens of the new text": new.num_tokens}
    if old is not None:
        rows["tokens of the old text"] = old.split("train").num_tokens
        rows["share of the windows that show it"] = f"{settings.replay.share:.0%}"
    return rows


def _vocabulary(grown: Mapping[str, Any] | None) -> dict[str, Any]:
    if grown is None:
        return {}
    sizes = grown["bytes_per_token"]
    return {
        "tokens added to the vocabulary": grown["added"],
        "bytes a token of the new text, held out": f"{sizes['before']:.3f} before, {sizes['after']:.3f} after",
        "the first of them": " ".join(repr(token) for token in grown["first_tokens"]),
    }
