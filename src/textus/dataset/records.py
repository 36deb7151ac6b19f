"""Records of examples: lines of JSON, lists of JSON, CSV and TSV, plain or packed, with the place of each."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from textus.corpus.compression import InputFile
from textus.corpus.objects import object_at
from textus.dataset.tables import DELIMITERS, table_rows
from textus.errors import CorpusError, InputError

JSON = (".jsonl", ".ndjson", ".json")
ENDINGS = (*JSON, *DELIMITERS)
"""Endings of files that hold records."""
_BLOCK = 1 << 20
_LONGEST_LINE = 1 << 30
_HINT = 'write one object a line, as {"messages": [...]} or {"text": "...", "label": "..."}, or a list of them'
Found = TypeVar("Found")


@dataclass(frozen=True)
class Record:
    """One object or row, where it stands, and what stands in its columns."""

    place: str
    """The file and the line, for errors."""
    values: dict[str, Any]

    def text(self, column: str, setting: str) -> str:
        """Return a text; raise `InputError` where it is none, with the setting that names the column."""
        value = self.value(column, setting)
        if not isinstance(value, str):
            raise InputError(f"{self.place}: `{column}` is not text", hint=naming(setting))
        return value

    def value(self, column: str, setting: str) -> Any:
        """Return what stands in a column; raise `InputError` where there is nothing."""
        if self.values.get(column) is None:
            there = ", ".join(f"`{name}`" for name in list(self.values)[:12]) or "nothing"
            raise InputError(f"{self.place}: no `{column}`; there is {there}", hint=naming(setting))
        return self.values[column]


def naming(setting: str) -> str:
    """Return what to do about a column that is not there."""
    return f"name the column with {setting}=NAME" if setting else _HINT


def suffix(path: Path) -> str:
    """Return the ending that tells the format, that of the packing left aside."""
    return InputFile(path, path.name).suffix


def files(path: Path, endings: Sequence[str] = ENDINGS) -> list[Path]:
    """Return a file, or those of a folder with these endings in order of their names; one at least."""
    if not path.exists():
        raise InputError(f"{path}: no such file or folder", hint="give a file or a folder of examples")
    if path.is_file():
        return [path]
    found = sorted(one for one in path.iterdir() if one.is_file() and suffix(one) in endings)
    if not found:
        raise InputError(f"{path}: no file of examples in it", hint=f"endings read are {', '.join(endings)}")
    return found


def read(path: Path) -> Iterator[Record]:
    """Yield the records of a file or folder; raise `InputError` naming the line that is none.

    What does not end as a table does is taken for JSON.
    """
    for file in files(path):
        delimiter = DELIMITERS.get(suffix(file))
        yield from (Record(*row) for row in table_rows(file, delimiter)) if delimiter else _json(file)


def some(found: list[Found], inputs: Sequence[Path | str]) -> list[Found]:
    """Return what was found; raise `CorpusError` where that is nothing."""
    if not found:
        raise CorpusError(f"{', '.join(map(str, inputs))}: no example in it", hint="give files with examples")
    return found


def _json(path: Path) -> Iterator[Record]:
    opened = InputFile(path, path.name)
    opened.weight = path.stat().st_size
    for number, line in enumerate(opened.lines(_LONGEST_LINE, _HINT), 1):
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
        place = f"{path}: record {number}"
        if not isinstance(value, dict):
            raise InputError(f"{place}: not a JSON object", hint=_HINT)
        yield Record(place, value)
