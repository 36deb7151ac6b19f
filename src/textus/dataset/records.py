"""Lines of JSON, one record each, plain or packed, with the place of each for whatever is wrong with it."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textus.corpus.compression import InputFile
from textus.corpus.objects import object_at
from textus.errors import InputError

ENDINGS = (".jsonl", ".ndjson", ".json")
_BLOCK = 1 << 20
_HINT = 'write one object a line, as {"messages": [...]}, or a list of them'


@dataclass(frozen=True)
class Record:
    """One JSON object, and where it stands."""

    place: str
    """The file and the line, for errors."""
    values: dict[str, Any]


def files(path: Path) -> list[Path]:
    """Return a file, or the JSON files of a folder in order of their names."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder", hint="give JSON lines, one record each")
    if path.is_file():
        return [path]
    found = sorted(one for one in path.iterdir() if InputFile(one, one.name).suffix in ENDINGS and one.is_file())
    if not found:
        raise InputError(f"{path}: no JSON lines in this folder", hint=f"files that end in {', '.join(ENDINGS)}")
    return found


def read(path: Path) -> Iterator[Record]:
    """Yield the records of a file or folder; raise `InputError` naming the line that is none."""
    for file in files(path):
        yield from _file(file)


def _file(path: Path) -> Iterator[Record]:
    opened = InputFile(path, path.name)
    opened.weight = path.stat().st_size
    for number, line in enumerate(opened.lines(), 1):
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
            if line.lstrip().startswith(b"["):
                yield from _list(path)
                return
        if line.strip():
            place = f"{path}:{number}"
            yield Record(place, object_at(place, line, _HINT))


def _list(path: Path) -> Iterator[Record]:
    """Yield the records of a file that is one JSON list, as Alpaca's and ShareGPT's are."""
    whole = b"".join(InputFile(path, path.name).blocks(_BLOCK))
    try:
        values = json.loads(whole.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON: {error}", hint=_HINT) from None
    for number, value in enumerate(values, 1):
        yield _record(f"{path}: record {number}", value)


def _record(place: str, value: Any) -> Record:
    if not isinstance(value, dict):
        raise InputError(f"{place}: not a JSON object", hint=_HINT)
    return Record(place, value)
