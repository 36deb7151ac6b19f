"""Put artefacts on disk so that a reader sees the old one, the new one, or none, never half of one.

An artefact is a directory with a `manifest.json` that names its kind, the key of what it was made from, the
fingerprints of its inputs, and the size and SHA-256 of every file. Directories are filled under a temporary name beside
their place, flushed to disk, and renamed; the manifest is written last.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textus import fingerprint
from textus.errors import ArtefactError, ResourceError, TextusError

MANIFEST = "manifest.json"
_PARTIAL = ".partial-"
_DISCARDED = ".discarded-"


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a directory is, what it was made from, and what must be in it."""

    kind: str
    """`corpus`, `tokenizer`, `shards`, `checkpoint`."""
    key: str
    """Fingerprint of the inputs and settings: an artefact with this key need not be made again."""
    inputs: dict[str, str]
    """Fingerprints of what it was made from, by name."""
    facts: dict[str, Any]
    """Counts and settings worth reading without opening the files."""
    files: dict[str, dict[str, Any]]
    """`{"bytes": size, "sha256": hash}` of each file, by path inside the directory."""

    @property
    def fingerprint(self) -> str:
        """Hash the content: equal files have equal fingerprints, whatever the settings that made them."""
        return fingerprint.of_parts(f"{name} {entry['sha256']}" for name, entry in sorted(self.files.items()))


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield an empty directory that takes the place of `path` when the block ends well, and else vanishes."""
    with refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        partial = path.with_name(f"{_PARTIAL}{path.name}-{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            flush(partial)
            replace_directory(partial, path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def replace_directory(new: Path, path: Path) -> None:
    """Rename `new` to `path`, setting an older `path` aside first and deleting it afterwards."""
    discarded = path.with_name(f"{_DISCARDED}{path.name}-{os.getpid()}")
    shutil.rmtree(discarded, ignore_errors=True)
    if path.exists():
        path.rename(discarded)
    new.rename(path)
    _sync_directory(path.parent)
    shutil.rmtree(discarded, ignore_errors=True)


def sweep(directory: Path) -> None:
    """Delete what killed processes left behind in `directory`; what a living process is writing stays."""
    for leftover in directory.glob(".*"):
        if leftover.name.startswith((_PARTIAL, _DISCARDED)) and not _alive(leftover.name.rpartition("-")[2]):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{_PARTIAL}{path.name}-{os.getpid()}")
        try:
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            _sync_directory(path.parent)
        finally:
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file for people and programs, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path, error: type[TextusError] = ArtefactError) -> Any:
    """Read a JSON file of ours, or raise `error` when it is missing or damaged."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise error(f"{path}: no such file", hint="check the path, or make it again") from None
    except (ValueError, UnicodeDecodeError) as problem:
        raise error(f"{path}: damaged: {problem}", hint="delete it and make it again") from None
    except OSError as problem:
        raise error(f"{path}: {problem.strerror}", hint="check its permissions") from None


def seal(directory: Path, kind: str, key: str, inputs: Mapping[str, str], facts: Mapping[str, Any]) -> Manifest:
    """Write the manifest of a finished directory, with the checksum of each file in it."""
    files = {
        file.relative_to(directory).as_posix(): {"bytes": file.stat().st_size, "sha256": fingerprint.of_file(file)}
        for file in sorted(directory.rglob("*"))
        if file.is_file() and file.name != MANIFEST
    }
    manifest = Manifest(kind, key, dict(inputs), dict(facts), files)
    write_json(directory / MANIFEST, dataclasses.asdict(manifest))
    return manifest


def manifest(directory: Path, kind: str, error: type[TextusError] = ArtefactError) -> Manifest:
    """Read a directory's manifest and hold it against the sizes on disk; checksums are `verify`'s."""
    hint = f"make the {kind} again, or give the right directory"
    values = read_json(directory / MANIFEST, error)
    names = {field.name for field in dataclasses.fields(Manifest)}
    if not isinstance(values, dict) or set(values) != names:
        raise error(f"{directory / MANIFEST}: not a manifest of ours", hint=hint)
    found = Manifest(**values)
    if found.kind != kind:
        raise error(f"{directory}: holds a {found.kind}, not a {kind}", hint=hint)
    for name, entry in found.files.items():
        path = directory / name
        size = path.stat().st_size if path.is_file() else None
        if size != entry["bytes"]:
            was = "is missing" if size is None else f"has {size} bytes"
            raise error(f"{path}: {was}, and the manifest says {entry['bytes']}", hint=hint)
    return found


def verify(directory: Path, kind: str, error: type[TextusError] = ArtefactError) -> Manifest:
    """Read a directory's manifest and check every file against its checksum."""
    found = manifest(directory, kind, error)
    for name, entry in found.files.items():
        if fingerprint.of_file(directory / name) != entry["sha256"]:
            raise error(f"{directory / name}: its checksum differs from the manifest's", hint=f"make the {kind} again")
    return found


def is_fresh(directory: Path, kind: str, key: str) -> bool:
    """Tell whether `directory` holds a whole artefact of this kind made from `key`."""
    try:
        return manifest(directory, kind).key == key
    except TextusError:
        return False


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn the machine's refusals (disk full, no permission, read-only) into a `ResourceError` that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise ResourceError(
                f"{path}: no space left to write",
                hint="free disk space, or choose another place with -o; then run the same command",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise ResourceError(
                f"{error.filename or path}: no permission",
                hint="choose a place you may write to with -o, or change its permissions",
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            raise ResourceError(
                f"{error.filename or path}: a file stands where a directory is needed",
                hint="choose another place with -o",
            ) from error
        raise


def flush(directory: Path) -> None:
    """Force every file and directory below `directory` to the disk."""
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            _sync_directory(path)
    _sync_directory(directory)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _alive(process: str) -> bool:
    if not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
