"""The lines of a task's files, one at a time, and the description in the first line or in a TOML file beside them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from textus.config import build
from textus.corpus.compression import InputFile, readable
from textus.corpus.decode import decoded
from textus.corpus.files import LINES
from textus.corpus.log import ReadLog
from textus.corpus.objects import object_at
from textus.errors import InputError
from textus.evaluation.tasks.config import TaskConfig
from textus.evaluation.tasks.formats import Format, ours, recognised
from textus.evaluation.tasks.item import EXAMPLES, Record

HEAD = "task"
"""A first line of this one key is the description of the lines behind it."""
_DESCRIPTION = ".toml"
_HINT = 'a task is JSON lines, such as {}; or describe it in the first line: {{"task": {{"kind": "choice", ...}}}}'
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Source:
    """The files of a task, how their lines are made ours, and how they are asked."""

    name: str
    files: tuple[Path, ...]
    form: Format
    config: TaskConfig

    def records(self) -> Iterator[tuple[Path, int, Record]]:
        """Yield each line that is not a description, with its file and its number."""
        for path in self.files:
            for number, record in _lines(path):
                if not _is_head(record):
                    yield path, number, record


def open_source(path: Path) -> Source:
    """Look at a task: a file of JSON lines, packed or not, a folder of them, or a description in TOML that names one.

    Raises `InputError` where it is empty, or neither described nor in a format that is known.
    """
    described: dict[str, Any] = {}
    if path.suffix == _DESCRIPTION:
        described = _described(path)
        if not described.get("items"):
            raise InputError(f"{path}: does not say which file its lines are in", hint='add items = "FILE.jsonl"')
        name, path = path.stem, path.parent / str(described["items"])
    else:
        name = stem(path)
        beside = path.with_name(name + _DESCRIPTION)
        described = _described(beside) if beside.is_file() else {}
    files = _files(path)
    head, place, first = _first(files)
    described |= head
    form = _form(first, place, described)
    return Source(name, files, form, _config(form, described, place))


def _config(form: Format, described: dict[str, Any], place: str) -> TaskConfig:
    told = {key: value for key, value in described.items() if (key, value) != ("kind", "auto")}
    return build(TaskConfig, {**asdict(form.config), **told}, place) if told else form.config


def _form(first: Record, place: str, described: dict[str, Any]) -> Format:
    """Return the format of a first line, as its keys or a description tell."""
    form = recognised(first)
    kind = described.get("kind", "auto")
    if kind in EXAMPLES and (form is None or form.config.kind != kind):
        return ours(kind)
    if form is None:
        keys = ", ".join(f"`{key}`" for key in list(first)[:8])
        raise InputError(f"{place}: no kind of task has the keys {keys}", hint=_HINT.format(EXAMPLES["choice"]))
    return form


def _first(files: tuple[Path, ...]) -> tuple[dict[str, Any], str, Record]:
    """Return the description at the head of the first file, and the first line behind it with its place."""
    head: dict[str, Any] = {}
    for number, record in _lines(files[0]):
        if not _is_head(record):
            return head, f"{files[0]}:{number}", record
        head = dict(record[HEAD])
        build(TaskConfig, head, f"{files[0]}:{number}")  # here, where its place is known
    raise InputError(f"{files[0]}: no item in it", hint=_HINT.format(EXAMPLES["choice"]))


def _is_head(record: Record) -> bool:
    return set(record) == {HEAD} and isinstance(record[HEAD], dict)


def _described(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid TOML: {error}", hint="docs/tasks.md shows a description") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", hint="check the path of the task") from None
    build(TaskConfig, values, str(path))  # here, where its place is known
    return values


def _files(path: Path) -> tuple[Path, ...]:
    with readable(path):
        if not path.is_dir():
            path.open("rb").close()
            return (path,)
        found = tuple(sorted(one for one in path.iterdir() if InputFile(one, one.name).suffix in LINES))
    if not found:
        raise InputError(f"{path}: no file of JSON lines in it", hint="name a folder of .jsonl files, or one file")
    return found


def stem(path: Path) -> str:
    """Return what a file or folder is called in tables: its name without the endings of packed JSON lines.

    >>> stem(Path("sets/arc.easy.jsonl.zst")), stem(Path("sets/blimp"))
    ('arc.easy', 'blimp')
    """
    file = InputFile(path, path.name)
    return path.name.removesuffix(file.compression).removesuffix(file.suffix if file.suffix in LINES else "")


def _lines(path: Path) -> Iterator[tuple[int, Record]]:
    """Yield the objects of a file with the numbers of their lines; blank lines count, and hold nothing."""
    for number, line in enumerate(_texts(path), 1):
        if line.strip():
            yield number, object_at(f"{path}:{number}", line, _HINT.format(EXAMPLES["choice"]))


def _texts(path: Path) -> Iterator[str]:
    file = InputFile(path, path.name)
    rest = ""
    for block in decoded(file.blocks(_BLOCK), "auto", path, ReadLog()):
        *whole, rest = (rest + block).split("\n")
        yield from whole
    yield rest
