"""Steps to files: `metrics.jsonl`, one object a line, and TensorBoard events where asked."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from textus import storage
from textus.errors import ArtefactError, ConfigError

OF_THE_MACHINE = ("seconds", "waited", "tokens_per_second", "tflops", "mfu", "peak_memory_bytes")
"""What a line says of the machine and its clock; all else is the same, to the last bit, in a run that was resumed."""


class MetricsLog:
    """Append metrics to a file whose length is part of the training state.

    A resumed run cuts off what was written after its checkpoint, so the file reads as if the run had never stopped.
    Numbers that are not finite become null, since JSON has no word for them.
    """

    def __init__(self, path: Path, length: int = 0, *, tensorboard: bool = False, first_step: int = 0) -> None:
        self._path = path
        with storage.refusals(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._board = _tensorboard(path.parent / "tensorboard", first_step) if tensorboard else None
            self._file = path.open("ab")
            # Cutting at more than there is would fill the file with zeros.
            self._file.truncate(min(length, self._file.tell()))

    def write(self, values: dict[str, Any]) -> None:
        """Append one object; its numbers go to TensorBoard under their names, at `step`."""
        with storage.refusals(self._path):
            self._file.write(json.dumps({name: _finite(value) for name, value in values.items()}).encode() + b"\n")
            self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, int | float) and name != "step":
                    self._board.add_scalar(name, value, values["step"])

    def sync(self) -> int:
        """Force the file to the disk and return its length in bytes."""
        with storage.refusals(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            if self._board is not None:
                self._board.flush()
            return self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Close the files."""
        with storage.refusals(self._path):  # closing writes what a full disk has refused before
            if self._board is not None:
                self._board.close()
            self._file.close()


class Unwritten(MetricsLog):
    """Write nothing: another process of the same run does."""

    def __init__(self) -> None:
        pass

    def write(self, values: dict[str, Any]) -> None:
        """Drop the values."""

    def sync(self) -> int:
        """Return the length of nothing."""
        return 0

    def close(self) -> None:
        """Close nothing."""


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return all whole lines of a metrics file, a null in them as NaN; none where there is no file."""
    if not path.is_file():
        return []
    lines = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            values = dict(json.loads(line))
        except (ValueError, TypeError):
            raise ArtefactError(
                f"{path}:{number}: damaged", hint="delete this line; nothing but the curves in the report needs it"
            ) from None
        lines.append({name: math.nan if value is None else value for name, value in values.items()})
    return lines


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tensorboard(directory: Path, first_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError(
            "training.tensorboard=true: TensorBoard is not installed", hint="pip install 'textus[track]'"
        ) from None
    return SummaryWriter(str(directory), purge_step=first_step)
