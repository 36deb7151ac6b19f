"""From what the user named to the files that will be read."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from textus.corpus.compression import InputFile
from textus.corpus.decode import looks_binary
from textus.corpus.log import ReadLog
from textus.errors import InputError, TextusError
from textus.storage import MANIFEST, Manifest

_TEXT = (
    ".txt .text .md .markdown .mdx .rst .tex .ltx .org .adoc .log .srt .vtt .po "
    ".py .pyi .pyx .js .mjs .cjs .jsx .ts .tsx .c .h .cc .cpp .cxx .hh .hpp .hxx .cu .cuh .java .kt .kts .scala "
    ".go .rs .rb .php .pl .pm .lua .r .jl .swift .m .mm .cs .fs .vb .hs .ml .mli .clj .lisp .el .scm .erl .ex .exs "
    ".sh .bash .zsh .fish .ps1 .bat .sql .css .scss .less .vue .svelte .asm .s .f .f90 .f95 .for .pas .d .nim .zig .v "
    ".vhd .vhdl .sv .toml .ini .cfg .conf .yaml .yml .cmake .mk .make .gradle .proto .graphql .tf "
    ".dockerfile"
)
TEXT = frozenset(_TEXT.split())
"""Endings read as plain text."""
RECORDS = frozenset({".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather"})
"""Endings of files that hold one document a record."""
LINES = frozenset({".jsonl", ".ndjson"})
"""Those of them in which a record is a line."""
HTML = frozenset({".html", ".htm", ".xhtml"})
"""Endings of web pages, of which the main text is read."""
XML = frozenset({".xml", ".nxml"})
"""Endings of files of which the words between the tags are read."""
WARC = frozenset({".warc", ".wet"})
"""Endings of web archives: one document a page."""
MAIL = frozenset({".eml", ".mbox"})
"""Endings of e-mails."""
OFFICE = frozenset({".docx", ".odt", ".epub"})
"""Endings of documents that are archives of XML."""
PDF = ".pdf"
ARCHIVES = frozenset({".zip", ".tar"})
"""Endings of archives, whose members are read as files."""
FORMATS = TEXT | RECORDS | HTML | XML | WARC | MAIL | OFFICE | ARCHIVES | {PDF}
"""All endings that say how a file is to be read."""
_BINARY = (
    ".doc .xls .xlsx .ppt .pptx .ods .odp .rtf .mobi .djvu .ps .dvi "
    ".png .jpg .jpeg .gif .bmp .tif .tiff .webp .ico .svgz .psd .heic .mp3 .mp4 .m4a .m4v .wav .flac .ogg .opus "
    ".avi .mkv .mov .webm .rar .7z .jar .whl .egg .deb .rpm .iso .dmg .apk .exe .dll .so "
    ".dylib .a .o .obj .lib .class .pyc .pyo .wasm .bin .dat .db .sqlite .sqlite3 .pkl .pickle .npy .npz .pt .pth "
    ".ckpt .safetensors .gguf .onnx .h5 .hdf5 .orc .avro .ttf .otf .woff .woff2 .eot"
)
BINARY = frozenset(_BINARY.split())
"""Endings of files in a folder that are left out without a look; a file named by the user is always tried."""
_MANIFEST_KEYS = {field.name for field in dataclasses.fields(Manifest)}


def list_files(inputs: Sequence[str | Path], log: ReadLog | None = None) -> list[Path]:
    """Find the files below `inputs`, sorted, each once.

    In folders, hidden files, binaries, and what Textus itself wrote are left out and counted in `log`; a file that is
    named is never left out. Raises `InputError` for what is missing and where nothing is found.
    """
    log = ReadLog() if log is None else log
    found: dict[Path, Path] = {}
    if "" in inputs:  # which Python takes for the current folder
        raise InputError("a name of no characters was given", hint="name files or folders; is a variable empty?")
    for given in map(Path, inputs):
        for path in _below(given, log):
            found.setdefault(path.resolve(), path)
    if not found:
        where = ", ".join(map(str, inputs)) or "nothing given"
        raise InputError(
            f"{where}: no file to read{_left_out(log)}",
            hint="give text files or folders of them: .txt .md .html .xml .jsonl .json .csv .tsv .parquet .arrow .warc "
            "and source code; any of these packed as .gz .zst .xz .bz2, or in a .zip or .tar",
        )
    return sorted(found.values(), key=lambda path: path.parts)


def names(files: Sequence[Path]) -> list[str]:
    """Name each file by its path below the folder that all have in common: the same on every machine."""
    # Not resolved: a link's target may lie anywhere.
    places = [Path(os.path.normpath(path.absolute())) for path in files]
    root = os.path.commonpath([place.parent for place in places]) if places else ""
    return [_printable(place.relative_to(root).as_posix()) for place in places]


def _printable(name: str) -> str:
    r"""Write bytes of a name that are not UTF-8 as \xff, so that the name can be kept as text."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _below(given: Path, log: ReadLog) -> Iterator[Path]:
    try:
        if given.is_dir():
            yield from _walk(given, log, set())
        elif given.is_file():
            yield given
        elif given.exists():
            raise InputError(f"{given}: neither a file nor a folder", hint="save its content as a file first")
        else:
            link = " (a link that leads nowhere)" if given.is_symlink() else ""
            raise InputError(f"{given}: no such file or folder{link}", hint="check the path")
    except OSError as error:
        raise InputError(f"{given}: {error.strerror}", hint="check its permissions") from None


def _walk(folder: Path, log: ReadLog, visited: set[tuple[int, int]]) -> Iterator[Path]:
    """List a folder's files; each folder is visited once, so that links in a circle end."""
    status = folder.stat()
    identity = (status.st_dev, status.st_ino)
    if identity in visited:
        log.skip("folder reached before, through a link", str(folder))
        return
    is_root = not visited
    visited.add(identity)
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        refusal = InputError(f"{folder}: {error.strerror}", hint="change its permissions, or leave it out")
        log.refuse(refusal, "files")
        return
    if not is_root and any(map(_is_ours, (folder, *entries))):
        log.skip("made by textus", str(folder))
        return
    beside_data = _beside_data(folder, entries)
    for path in entries:
        if path.name.startswith("."):
            log.skip("hidden", str(path))
        elif path.name in beside_data:
            log.skip("not data of its Hugging Face dataset", str(path))
        elif path.is_dir():
            yield from _walk(path, log, visited)
        elif reason := _reason_to_skip(path):
            log.skip(reason, str(path))
        else:
            yield path


def _beside_data(folder: Path, entries: Sequence[Path]) -> set[str]:
    """Name what is in the folder of a Hugging Face dataset but holds none of its records (facts, caches of `map`)."""
    names = {path.name for path in entries}
    facts = names & {"dataset_info.json", "dataset_dict.json", "state.json"}
    if not facts & {"dataset_info.json", "dataset_dict.json"}:
        return set()
    try:
        data = {str(file["filename"]) for file in json.loads((folder / "state.json").read_bytes())["_data_files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return facts | {name for name in names if name.startswith("cache-")}
    return facts | {name for name in names if name.endswith(".arrow") and name not in data}


def _reason_to_skip(path: Path) -> str:
    """Say why a file found in a folder is left out; empty where it is to be read."""
    if not path.is_file():
        return "broken link or special file"
    suffix = InputFile(path, "").suffix
    if suffix in BINARY:
        return f"binary ({suffix})"
    if suffix == PDF and not importlib.util.find_spec("pypdf"):
        return 'PDF, which needs: pip install "textus[pdf]"'
    if suffix in FORMATS:
        return ""
    try:
        head = next(InputFile(path, str(path)).blocks(8192), b"")
    except TextusError:
        return ""  # reading it will say what is wrong
    return f"binary ({suffix or 'no ending'})" if looks_binary(head) else ""


def _is_ours(folder: Path) -> bool:
    """Tell whether a folder is an artefact of ours, by its manifest; a run's folder holds several."""
    try:
        values = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(values, dict) and set(values) == _MANIFEST_KEYS


def _left_out(log: ReadLog) -> str:
    return (
        " (left out: " + ", ".join(f"{count} {why}" for why, count in log.skipped.most_common(5)) + ")"
        if log.skipped
        else ""
    )
