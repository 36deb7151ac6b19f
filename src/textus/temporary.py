"""Names for what is not in its place: they say whose work it is, so that the dead's can be told from the living's."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from textus import fingerprint

State = Literal["partial", "replaced", "discarded"]
"""Half written; whole, but set aside; half deleted."""
_NAME = re.compile(r"\.(partial|replaced|discarded)-(.+)-([0-9a-f]{6})-(\d+)")
"""State, place, host, process."""
_ABANDONED_SECONDS = 24 * 3600.0
"""After this long without a change, what another machine was writing counts as left behind."""


@dataclass(frozen=True)
class Leftover:
    """What a killed process left behind."""

    path: Path
    state: State
    place: Path
    """Where it belonged."""


def beside(path: Path, state: State) -> Path:
    """Return this process's temporary name for `path`, in the same directory."""
    return path.with_name(f".{state}-{path.name}-{_host()}-{os.getpid()}")


def leftovers(directory: Path) -> Iterator[Leftover]:
    """List what killed processes left in `directory`; what a living one works on is not among it."""
    for path in sorted(directory.glob(".*")):
        found = _NAME.fullmatch(path.name)
        if found and not _at_work(path, host=found[3], process=int(found[4])):
            state: State = found[1]  # type: ignore[assignment]
            yield Leftover(path, state, path.with_name(found[2]))


def exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step, where system and file system can (Linux: renameat2), and tell whether they did."""
    if sys.platform != "linux":
        return False
    import ctypes

    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    return renameat2 is not None and renameat2(here, os.fsencode(one), here, os.fsencode(other), swap) == 0


def _host() -> str:
    return fingerprint.of_text(platform.node())[:6]


def _at_work(path: Path, host: str, process: int) -> bool:
    if host == _host():
        return _alive(process)
    # Nobody here can ask another machine, or another container, for its processes.
    try:
        changed = max(file.lstat().st_mtime for file in (path, *path.rglob("*")))
    except FileNotFoundError:  # it changes under our eyes
        return True
    return time.time() - changed < _ABANDONED_SECONDS


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
