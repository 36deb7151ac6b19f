"""Which files of a run stay: checkpoints while it lives, and a finished model until another is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from textus import fingerprint, storage
from textus.checkpoint import training_state
from textus.checkpoint.checkpoint import KIND as MODEL
from textus.errors import CheckpointError, ConfigError
from textus.training.identity import differences, named

CHECKPOINTS = "checkpoints"
METRICS = "metrics.jsonl"
ASIDE = "metrics-"
"""How the metrics of a finished model are called while another is trained; its key follows."""


def refuse_others(checkpoints: Path, identity: Mapping[str, Any]) -> None:
    """Raise `ConfigError`, naming what differs, where the checkpoints belong to a run of another identity."""
    for step in reversed(training_state.steps(checkpoints)):
        path = training_state.path(checkpoints, step)
        key = _key(path)
        if key == fingerprint.of_value(identity):
            return
        if not key:
            continue  # damaged: the one before it tells
        try:
            found = differences(training_state.values(path)["identity"], identity)
        except (CheckpointError, KeyError):
            found = []
        raise ConfigError(
            f"{path}: belongs to a run that differs from this one in {named(found) or 'its settings'}",
            hint=f"give the settings it was begun with, choose another -o, or delete {checkpoints} to begin anew",
        )


def newest(checkpoints: Path, say: Callable[[str], None]) -> int:
    """Return the step of the newest checkpoint that is whole, 0 where none is; say which ones were passed over."""
    found, passed = training_state.newest(checkpoints)
    for sentence in passed:
        say(sentence)
    return training_state.step_of(found) if found is not None else 0


def retain(checkpoints: Path, last: int, keep_last: int, best: int) -> None:
    """Delete all checkpoints but the best and the `keep_last` newest up to step `last`, which has just been saved.

    Those ahead of it were damaged and passed over: they must not push out what is whole.
    """
    there = training_state.steps(checkpoints)
    kept = {*[step for step in there if step <= last][-keep_last:], best}
    for step in there:
        if step not in kept:
            storage.discard(training_state.path(checkpoints, step))


def set_metrics_aside(directory: Path) -> None:
    """Keep the metrics of a finished model here while another is trained, which may never take its place."""
    path = directory / METRICS
    try:
        aside = _aside(directory, storage.manifest(directory, MODEL, CheckpointError).key)
    except CheckpointError:
        return
    with storage.refusals(path):
        if path.is_file() and not aside.exists():
            path.replace(aside)


def tidy(directory: Path, key: str, model_key: str) -> None:
    """Once the model of `model_key` is in its place, delete its checkpoints, of `key`, and the metrics of others."""
    checkpoints, mine = directory / CHECKPOINTS, _aside(directory, model_key)
    with storage.refusals(checkpoints):
        keys = {_key(training_state.path(checkpoints, step)) for step in training_state.steps(checkpoints)}
        if not keys <= {key, ""}:
            return  # another run is under way, and can be gone on with
        if mine.is_file():  # the run that was to take this one's place has been given up
            mine.replace(directory / METRICS)
        for path in directory.glob(f"{ASIDE}*.jsonl"):
            path.unlink()
        if checkpoints.is_dir():
            storage.discard(checkpoints)


def _key(checkpoint: Path) -> str:
    """Return the key of a checkpoint, empty where it is damaged."""
    try:
        return storage.manifest(checkpoint, training_state.KIND, CheckpointError).key
    except CheckpointError:
        return ""


def _aside(directory: Path, model_key: str) -> Path:
    return directory / f"{ASIDE}{fingerprint.short(model_key)}.jsonl"
