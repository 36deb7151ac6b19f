"""Put artefacts on disk so that a reader sees the old one, the new one, or none, never half of one.

An artefact is a directory with a `manifest.json` that names its kind, the key of what it was made from, the
fingerprints of its inputs, and the size and SHA-256 of every file. Directories are filled under a temporary name beside
their place, flushed to disk, and put there in one step; the manifest is written last. A process that is killed leaves
only temporary names behind, which carry its host and number, so that the next one can tell them from work under way.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from textus import fingerprint, temporary
from textus.errors import ArtefactError, ResourceError, TextusError

MANIFEST = "manifest.json"
_INCOMING = ".incoming"
"""What `published` has finished and not yet moved to its place."""


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
    checksum: str
    """Hash of all of the above."""

    @property
    def fingerprint(self) -> str:
        """Hash the content: equal files have equal fingerprints, whatever the settings that made them."""
        return fingerprint.of_parts(f"{name} {entry['sha256']}" for name, entry in sorted(self.files.items()))


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield an empty directory that takes the place of `path` when the block ends well, and else vanishes.

    What stands at `path` must be an artefact of ours: nothing else is ever replaced.
    """
    with refusals(path):
        path = path.resolve()  # a link stays, and what it points to is replaced
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        _refuse_strangers(path)
        partial = temporary.beside(path, "partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            flush(partial)
            replace_directory(partial, path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def stage(path: Path) -> Path:
    """Make an empty directory beside `path` for what will be moved into it; `sweep` deletes it when we are gone."""
    with refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = temporary.beside(path.with_name(f"{path.name}.stage"), "partial")
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir()
    return staged


@contextmanager
def published(path: Path, kind: str, key: str, facts: Mapping[str, Any]) -> Iterator[Path]:
    """Yield an empty directory whose files join, sealed, what else is in `path` when the block ends well.

    They are moved one by one, but only once they are whole and under one name there: `settle` completes what a killed
    process began.
    """
    with refusals(path):
        path = path.resolve()
        path.mkdir(parents=True, exist_ok=True)
        with new_directory(path / _INCOMING) as partial:
            yield partial
            seal(partial, kind, key, {}, facts)
        settle(path)


def settle(path: Path) -> None:
    """Move into `path` what was published there and is still on its way; the manifest goes last."""
    incoming = path / _INCOMING
    if not (incoming / MANIFEST).is_file():
        return
    with refusals(path):
        (path / MANIFEST).unlink(missing_ok=True)  # the old one does not speak for the new files
        files = [file for file in sorted(incoming.rglob("*")) if file.is_file() and file != incoming / MANIFEST]
        for file in files:
            place = path / file.relative_to(incoming)
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)
        flush_directory(path)
        (incoming / MANIFEST).replace(path / MANIFEST)
        flush_directory(path)
        discard(incoming)


def replace_directory(new: Path, path: Path) -> None:
    """Put `new` in the place of `path` in one step, and delete what stood there.

    Where the system or its file system cannot swap two names, the older one steps aside for an instant, and `sweep` or
    the next reader puts it back if just then the process is killed.
    """
    try:
        new.rename(path)
        older = None
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        older = new if temporary.exchange(new, path) else _step_aside(new, path)
    flush_directory(path.parent)
    if older is not None:
        discard(older)


def discard(path: Path) -> None:
    """Delete a directory so that it is never seen half deleted under its name."""
    discarded = temporary.beside(path, "discarded")
    shutil.rmtree(discarded, ignore_errors=True)
    path.rename(discarded)
    shutil.rmtree(discarded, ignore_errors=True)


def sweep(directory: Path) -> None:
    """Tidy up after killed processes in `directory`: put back what had stepped aside, delete what was half done.

    What a living process is writing stays.
    """
    for leftover in temporary.leftovers(directory):
        with suppress(OSError):  # another process may be sweeping too
            if leftover.state == "replaced" and not leftover.place.exists():
                leftover.path.rename(leftover.place)
            elif leftover.state == "replaced":
                discard(leftover.path)
            elif leftover.path.is_dir():
                shutil.rmtree(leftover.path, ignore_errors=True)
            else:
                leftover.path.unlink()


def _refuse_strangers(path: Path) -> None:
    if path.is_dir() and any(path.iterdir()) and not (path / MANIFEST).is_file():
        raise ResourceError(
            f"{path}: holds files that Textus did not make, and they would be lost",
            hint="choose another place with -o, or move them away",
        )
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def _step_aside(new: Path, path: Path) -> Path:
    """Rename `path` away and `new` to it; return where the older one is, still whole."""
    older = temporary.beside(path, "replaced")
    if older.exists():
        discard(older)
    path.rename(older)
    try:
        new.rename(path)
    except BaseException:
        older.rename(path)
        raise
    return older


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = temporary.beside(path, "partial")
        try:
            with partial.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            flush_directory(path.parent)
        finally:
            partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as UTF-8, whole or not at all; what UTF-8 cannot hold (a lone surrogate) is escaped."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


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
        if file.is_file() and file != directory / MANIFEST
    }
    values: dict[str, Any] = {"kind": kind, "key": key, "inputs": dict(inputs), "facts": dict(facts), "files": files}
    sealed = Manifest(**values, checksum=_checksum(values))
    write_json(directory / MANIFEST, dataclasses.asdict(sealed))
    return sealed


def manifest(directory: Path, kind: str, error: type[TextusError] = ArtefactError) -> Manifest:
    """Read a directory's manifest and hold it against the sizes on disk; the files' checksums are `verify`'s."""
    hint = f"make the {kind} again, or give the right directory"
    _recover(directory)
    values = read_json(directory / MANIFEST, error)
    names = {field.name for field in dataclasses.fields(Manifest)}
    if not isinstance(values, dict) or set(values) != names:
        raise error(f"{directory / MANIFEST}: not a manifest of ours", hint=hint)
    if _checksum({name: value for name, value in values.items() if name != "checksum"}) != values["checksum"]:
        raise error(f"{directory / MANIFEST}: damaged: it is not as it was written", hint=f"make the {kind} again")
    found = Manifest(**values)
    if found.kind != kind:
        raise error(f"{directory}: holds a {found.kind}, not a {kind}", hint=hint)
    for name, entry in found.files.items():
        path = directory / name
        with _unreadable(path, error):
            size = path.stat().st_size if path.is_file() else None
        if size != entry["bytes"]:
            was = "is missing" if size is None else f"has {size} bytes"
            raise error(f"{path}: {was}, and the manifest says {entry['bytes']}", hint=hint)
    return found


def verify(directory: Path, kind: str, error: type[TextusError] = ArtefactError) -> Manifest:
    """Read a directory's manifest and check every file against its checksum."""
    found = manifest(directory, kind, error)
    for name, entry in found.files.items():
        with _unreadable(directory / name, error):
            held = fingerprint.of_file(directory / name)
        if held != entry["sha256"]:
            raise error(f"{directory / name}: its checksum differs from the manifest's", hint=f"make the {kind} again")
    return found


def _recover(directory: Path) -> None:
    """Put `directory` back where a killed process had set it aside, and complete what one was publishing in it."""
    with suppress(OSError, TextusError):
        if not directory.exists():
            for leftover in temporary.leftovers(directory.parent):
                if leftover.state == "replaced" and leftover.place.name == directory.name:
                    leftover.path.rename(directory)
        settle(directory)


def _checksum(values: Mapping[str, Any]) -> str:
    """Hash values as they are once JSON has been written and read."""
    return fingerprint.of_value(json.loads(json.dumps(values)))


@contextmanager
def _unreadable(path: Path, error: type[TextusError]) -> Iterator[None]:
    """Turn a disk that fails, or forbids, while it is read into `error`."""
    try:
        yield
    except OSError as problem:
        raise error(f"{path}: {problem.strerror or problem}", hint="check its permissions and the disk") from None


def is_fresh(directory: Path, kind: str, key: str) -> bool:
    """Tell whether `directory` holds a whole artefact of this kind made from `key`."""
    try:
        return manifest(directory, kind).key == key
    except TextusError:
        return False


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn the machine's refusals (disk full, no permission, read-only) into a `ResourceError` that names `path`.

    Libraries in Rust (safetensors, tokenizers) report them in words, as `(os error 28)`; numpy says of a full disk only
    how much it could not write.
    """
    try:
        yield
    except TextusError:
        raise
    except Exception as error:
        told = re.search(r"\(os error (\d+)\)", str(error))
        number = error.errno if isinstance(error, OSError) else int(told[1]) if told else None
        if isinstance(error, OSError) and re.fullmatch(r"\d+ requested and \d+ written", str(error)):
            number = errno.ENOSPC
        refused = _refusal(number, getattr(error, "filename", None) or path, path)
        if refused is None:
            raise
        raise refused from error


def _refusal(number: int | None, file: Any, path: Path) -> ResourceError | None:
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        hint = "free disk space, or choose another place with -o; then run the same command"
        return ResourceError(f"{path}: no space left to write", hint=hint)
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        hint = "choose a place you may write to with -o, or change its permissions"
        return ResourceError(f"{file}: no permission", hint=hint)
    if number in (errno.ENOTDIR, errno.EEXIST):
        hint = "choose another place with -o"
        return ResourceError(f"{file}: a file stands where a directory is needed", hint=hint)
    if number in (errno.EIO, errno.ESTALE, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE, errno.ELOOP):
        hint = "choose another place with -o, or ask whoever keeps this machine"
        return ResourceError(f"{file}: {os.strerror(number)}", hint=hint)
    return None


def flush(directory: Path) -> None:
    """Force every file and directory below `directory` to the disk."""
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            flush_directory(path)
    flush_directory(directory)


def flush_directory(path: Path) -> None:
    """Force the names in a directory to the disk; some network file systems cannot, and write them at once anyway."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
