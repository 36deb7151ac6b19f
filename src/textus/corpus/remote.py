"""Files that are not on this machine: listed and opened through fsspec, which is loaded when one is named."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from textus.corpus.files import BINARY
from textus.corpus.log import ReadLog
from textus.errors import InputError

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_ABOUT = (
    "readme.md",
    "license",
    "license.md",
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
    "state.json",
)


@dataclass(frozen=True)
class RemoteFile:
    """A file behind a URL."""

    url: str
    name: str
    """Its path below what was named."""
    size: int
    version: str
    """Whatever its server changes with the content."""


def is_url(given: str | Path) -> bool:
    """Tell whether a name is a URL such as `s3://bucket/folder` or `hf://datasets/OWNER/NAME`.

    >>> is_url("https://example.org/a.txt"), is_url("folder/a.txt"), is_url("C:/a.txt")
    (True, False, False)
    """
    return isinstance(given, str) and bool(_URL.match(given))


def list_files(urls: Sequence[str], log: ReadLog) -> Iterator[RemoteFile]:
    """Find the files at and below URLs, sorted, each once; hidden ones and binaries are left out and counted."""
    found: dict[str, RemoteFile] = {}
    for url in urls:
        with _reached(url):
            system, root = _system(url)
            below = sorted(system.find(root)) if system.isdir(root) else [root]
            for path in below:
                name = str(PurePosixPath(path).relative_to(root)) if path != root else PurePosixPath(path).name
                if path != root and (reason := _reason_to_skip(name)):
                    log.skip(reason, system.unstrip_protocol(path))
                    continue
                place = system.unstrip_protocol(path)
                found.setdefault(place, RemoteFile(place, name, *_stamp(system, path)))
        if not below:
            raise InputError(f"{url}: no file to read", hint="check the address")
    yield from found.values()


def opened(url: str) -> BinaryIO:
    """Open a URL for reading bytes."""
    with _reached(url):
        system, path = _system(url)
        return cast(BinaryIO, system.open(path, "rb"))


def stamp(url: str) -> tuple[int, str]:
    """Return the size and version of a file."""
    with _reached(url):
        return _stamp(*_system(url))


def _system(url: str) -> tuple[Any, str]:
    if not importlib.util.find_spec("fsspec"):
        raise InputError(f"{url}: reading URLs needs fsspec", hint='pip install "textus[remote]"')
    from fsspec.core import url_to_fs

    system, path = url_to_fs(url)
    return system, path


def _stamp(system: Any, path: str) -> tuple[int, str]:
    facts = system.info(path)
    told = [
        str(facts[key]) for key in ("ETag", "etag", "blob_id", "mtime", "created", "LastModified") if facts.get(key)
    ]
    return int(facts.get("size") or 0), " ".join(told)


@contextmanager
def _reached(url: str) -> Iterator[None]:
    """Say in one sentence why a URL cannot be reached; every kind of server has exceptions of its own."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{url}: no such file or folder", hint="check the address") from None
    except (ImportError, ValueError) as error:  # which is how fsspec says that it lacks a package, or a protocol
        raise InputError(f"{url}: {_first_line(error)}", hint="check the address, or install what it needs") from None
    except Exception as error:
        raise InputError(
            f"{url}: cannot be reached: {_first_line(error)}",
            hint="check the address, the network and your rights, or fetch it yourself and name the files",
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _reason_to_skip(name: str) -> str:
    parts = name.split("/")
    if any(part.startswith(".") for part in parts):
        return "hidden"
    if parts[-1].lower() in _ABOUT:
        return "about the data, and not data"
    suffix = PurePosixPath(name).suffix.lower()
    return f"binary ({suffix})" if suffix in BINARY else ""
