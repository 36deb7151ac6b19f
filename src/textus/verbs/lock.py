"""One process at a time in a run's directory, or several that share one work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from textus import storage
from textus.errors import ResourceError

FILE = ".lock"
"""Holds the number of the process at work; the lock on it goes with that process, however it ends."""


@contextmanager
def locked(directory: Path, *, shared: bool = False) -> Iterator[None]:
    """Make `directory` ours while the block runs, and take it away again where the block has left it empty.

    `shared` lets others in who say so too: the ranks that do one work together. Raises `ResourceError` where another
    process is at work in it. Does nothing where the system has no such locks.
    """
    try:
        import fcntl  # absent on Windows
    except ImportError:
        yield
        return
    made = [place for place in (directory, *directory.parents) if not place.exists()]
    path = directory / FILE
    with storage.refusals(path):
        while True:
            directory.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except FileNotFoundError:
                continue  # another rank has ended just now, and left no directory
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace")
                os.close(descriptor)
                who = f"another textus process ({holder})" if holder else "another textus process"
                raise ResourceError(
                    f"{directory}: {who} is at work here", hint="wait until it has ended, or choose another -o"
                ) from None
            except OSError:
                pass  # a network file system without locks
            if _is_at(descriptor, path):
                break
            os.close(descriptor)  # the one before us has ended just now and taken its file away
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    try:
        yield
    finally:
        with suppress(OSError):
            if shared:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # only the last one takes the file away
            path.unlink()
        os.close(descriptor)
        with suppress(OSError):  # what is not empty stays
            for place in made:
                place.rmdir()


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
