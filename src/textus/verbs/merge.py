"""Make one model of several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textus import fingerprint, storage
from textus.checkpoint import checkpoint, merging, training_state, weights
from textus.checkpoint.checkpoint import CONFIG, KIND, Checkpoint
from textus.checkpoint.merging import Method
from textus.checkpoint.provenance import provenance
from textus.errors import ConfigError
from textus.progress import SILENT, Progress
from textus.report import Prose, Report, Score, Section, Shown, Table
from textus.training.keep import CHECKPOINTS
from textus.verbs.evaluate import evaluate
from textus.verbs.import_ import generation_of

METRICS = ("bits_per_byte", "masked_loss")
"""What models are measured by: the first of these that they have."""


@dataclass(frozen=True, eq=False)
class Part:
    """One of the models that were merged."""

    directory: Path
    fingerprint: str
    """Of its weights and config."""
    share: float
    score: Score | None = None
    """What it reaches on the text, where one was given."""


@dataclass(frozen=True, eq=False)
class Merged(Shown):
    """What came of it."""

    model: Checkpoint
    method: Method
    parts: tuple[Part, ...]
    score: Score | None

    @property
    def report(self) -> Report:
        """Set the model beside those that it was made from."""
        scored = [(part.directory, part.share, part.score) for part in self.parts]
        rows = tuple(
            (str(directory), share, *((score.value, score.error) if score else ()))
            for directory, share, score in [*scored, (self.model.directory, 1.0, self.score)]
        )
        heads = ("model", "share", *((self.score.name.replace("_", " "), "±") if self.score else ()))
        sections: list[tuple[str, Section]] = [(f"Merged: {self.method}", Table(heads, rows))]
        if self.score:
            best = min(part.score.value for part in self.parts if part.score)
            word = "lower" if self.score.value < best else "not lower"
            sections.append(("What it says", Prose(f"The last row is the merged model: {word} than the best part.")))
        return Report("Merged", tuple(sections))

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            "directory": str(self.model.directory),
            "method": self.method,
            "parts": [
                {
                    "directory": str(part.directory),
                    "fingerprint": part.fingerprint,
                    "share": part.share,
                    "score": part.score.as_dict() if part.score else None,
                }
                for part in self.parts
            ],
            "score": self.score.as_dict() if self.score else None,
        }


def merge(
    models: Sequence[str | Path],
    out: str | Path,
    *,
    method: Method = "uniform",
    weights: Sequence[float] = (),
    at: float = 0.5,
    decay: float = 0.9,
    texts: str | Path | Sequence[str | Path] = (),
    progress: Progress = SILENT,
) -> Merged:
    """Write one model of several that have one shape and one vocabulary; nothing that stands at `out` is replaced.

    "uniform" is their mean, "linear" a mean by `weights`, "ema" one that forgets by `decay` from the last model to the
    first, and "slerp" the point `at` (0 to 1) on the arc between two. One run that is under way stands for all of its
    checkpoints, oldest first. With `texts` all models are measured on them, those before and the one after.
    """
    directories = _models([Path(model) for model in models])
    place = Path(out)
    shares = _shares(method, directories, weights, at, decay)
    prints = [_print_of(directory) for directory in directories]
    settings: dict[str, Any] = {"method": method, "shares": list(shares)}
    key = fingerprint.of_value({**settings, "parts": prints})
    if not storage.is_fresh(place, KIND, key):
        if place.exists():
            raise ConfigError(f"{place}: is there already", hint="choose another place with -o, or delete it")
        _write(directories, place, key, prints, settings)
    paths = [Path(texts)] if isinstance(texts, str | Path) else [Path(text) for text in texts]

    def score(directory: Path) -> Score | None:
        if not paths:
            return None
        found = evaluate(directory, paths, look_in_training=False, progress=progress).scores
        return next(score for name in METRICS for score in found if score.name == name)

    parts = tuple(
        Part(directory, mark, share, score(directory))
        for directory, mark, share in zip(directories, prints, shares, strict=True)
    )
    return Merged(checkpoint.load(place), method, parts, score(place))


def _models(given: list[Path]) -> list[Path]:
    """Return the directories to merge; a run that is given alone stands for its checkpoints."""
    if len(given) != 1:
        if not given:
            raise ConfigError("no models were given", hint="name two model directories, or one run that is under way")
        return given
    checkpoints = given[0] / CHECKPOINTS
    found = [training_state.path(checkpoints, step) for step in training_state.steps(checkpoints)]
    if len(found) < 2:
        raise ConfigError(
            f"{given[0]}: one model, and {len(found)} checkpoints in it",
            hint="name another model; a finished run keeps no checkpoints: training.ema averages while it trains",
        )
    return found


def _shares(
    method: Method, directories: Sequence[Path], weights: Sequence[float], at: float, decay: float
) -> tuple[float, ...]:
    if weights and method != "linear":
        raise ConfigError(f"weights were given, and {method} has none", hint="--method linear takes them")
    if method != "slerp":
        return merging.shares(method, len(directories), weights, decay)
    if len(directories) != 2:
        raise ConfigError(f"an arc between {len(directories)} models", hint="slerp merges two; uniform any number")
    if not 0 <= at <= 1:
        raise ConfigError(f"{at} on the arc", hint="0 is the first model, 1 the second")
    return (1 - at, at)


def _print_of(directory: Path) -> str:
    checkpoint.read_config(directory)  # refuses what is no language model
    files = (directory / CONFIG, *weights.files(directory))
    return fingerprint.of_parts(fingerprint.of_file(file) for file in files)


def _write(
    directories: Sequence[Path], place: Path, key: str, prints: Sequence[str], settings: Mapping[str, Any]
) -> None:
    first = checkpoint.load(directories[0])
    origins: list[Mapping[str, Any]] = []

    def parts() -> Iterator[Mapping[str, Tensor]]:
        for directory in directories:
            opened = checkpoint.load(directory)
            merging.refuse_other_shapes(first, opened)
            origins.append(opened.provenance)
            yield opened.model.own_parameters()

    if settings["method"] == "slerp":
        one, other = parts()
        state = merging.on_the_arc(one, other, settings["shares"][1])
    else:
        state = merging.mean(parts(), settings["shares"])
    with torch.no_grad():
        for name, value in first.model.own_parameters().items():
            value.copy_(state[name])
    corpora = {origin.get("corpus", "") for origin in origins}
    facts = {
        "merged": [
            {"name": name, "weights": mark, "share": share, "corpus": origin.get("corpus", "")}
            for name, mark, share, origin in zip(
                merging.told(directories), prints, settings["shares"], origins, strict=True
            )
        ]
    }
    came = provenance(
        corpus=corpora.pop() if len(corpora) == 1 else "",
        tokenizer=first.tokenizer.fingerprint,
        shards="",
        settings={"merge": dict(settings)},
        facts=facts,
        parent=fingerprint.of_parts(prints),
    )
    with storage.new_directory(place) as new:
        checkpoint.write_model(new, first.model, first.tokenizer, came, generation_of(first.directory))
        storage.seal(new, KIND, key, {"parent": came["parent"]}, {"parameters": first.config.num_parameters()})
