"""Make a model fit for something: labels, tags, search, instructions, another text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textus import config as settings_module
from textus import storage
from textus.adaptation.job import Adapted, Job
from textus.config import Settings
from textus.errors import ConfigError, ResourceError, TextusError
from textus.progress import SILENT, Progress
from textus.verbs.lock import FILE as LOCK
from textus.verbs.lock import locked
from textus.verbs.methods import method as method_named

FILE = "adapt.toml"
"""Where the directory of an adapted model keeps its settings."""
REPORT = "report"


def adapt(
    checkpoint: str | Path,
    data: str | Path | Sequence[str | Path],
    *,
    method: str,
    out: str | Path = "",
    settings: Settings | Mapping[str, Any] = {},  # noqa: B006 - never changed
    progress: Progress = SILENT,
) -> Adapted:
    """Adapt the model in the directory `checkpoint` with the user's `data`, and leave another model directory.

    `settings` are those of the method, or dotted changes to them. An adaptation that was stopped goes on where it was;
    one that is finished is opened again, unless its inputs or settings have changed.
    """
    chosen = method_named(method)
    place = Path(checkpoint)
    paths = tuple(Path(path) for path in ((data,) if isinstance(data, str | Path) else data))
    directory = Path(out) if str(out) else Path("runs") / f"{place.resolve().name}-{method}"
    kind = chosen.settings_class()
    asked = settings if isinstance(settings, Settings) else settings_module.replace(kind(), dict(settings))
    assert isinstance(asked, kind), f"{method} takes {kind.__name__}"
    _refuse(place, directory)
    with locked(directory):
        storage.sweep(directory)
        storage.write_text(directory / FILE, settings_module.to_toml(asked))
        try:
            found = chosen.function()(Job(place, paths, directory, asked, progress))
        except TextusError:
            if {path.name for path in directory.iterdir()} <= {FILE, LOCK}:  # nothing has begun
                (directory / FILE).unlink()
            raise
        storage.write_text(directory / f"{REPORT}.html", found.report.html())
        storage.write_json(directory / f"{REPORT}.json", found.report.as_dict())
    return found


def _refuse(checkpoint: Path, directory: Path) -> None:
    """Raise an error where the adapted model would stand in the place of another, or of anything that is not ours."""
    if directory.resolve() == checkpoint.resolve():
        raise ConfigError(
            f"{directory}: the adapted model would take the place of the one it begins with", hint="choose another -o"
        )
    with storage.refusals(directory):
        if not directory.is_dir() or (directory / FILE).is_file():
            return
        strange = sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))
    if strange:
        raise ResourceError(
            f"{directory}: holds files that no adaptation has made ({', '.join(strange[:3])})",
            hint="choose another -o",
        )
