"""Files of examples as records, each with the place that an error names."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from textus.corpus.compression import InputFile
from textus.dataset.records import Record as Plain
from textus.dataset.records import read
from textus.errors import CorpusError, InputError

LINES = (".jsonl", ".ndjson")
"""Endings of files with an object a line."""
_TABLES = {".csv": ",", ".tsv": "\t"}
RECORDS = (*LINES, ".json", *_TABLES)
"""Endings of files that hold records."""
_MOST_BYTES = 4 << 30


class Record(Plain):
    """One example as it stands in a file, asked for its columns."""

    def text(self, column: str, setting: str) -> str:
        """Return a text; raise `InputError` where it is none, with the setting that names the column."""
        value = self.value(column, setting)
        if not isinstance(value, str):
            raise InputError(f"{self.place}: `{column}` is not text", hint=f"name the column with {setting}=NAME")
        return value

    def value(self, column: str, setting: str) -> Any:
        """Return what stands in a column; raise `InputError` where there is nothing."""
        if self.values.get(column) is None:
            there = ", ".join(f"`{name}`" for name in list(self.values)[:12]) or "nothing"
            raise InputError(
                f"{self.place}: no `{column}`; there is {there}", hint=f"name the column with {setting}=NAME"
            )
        return self.values[column]


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file of UTF-8, packed or not."""
    data = InputFile(path, path.name).whole(_MOST_BYTES, "give examples in smaller files")
    try:
        return data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 at byte {error.start}", hint="convert it with `iconv -t utf-8` first"
        ) from None


def suffix(path: Path) -> str:
    """Return the ending that tells the format, that of the packing left aside."""
    return InputFile(path, path.name).suffix


def files(inputs: Sequence[Path | str], endings: Sequence[str]) -> list[Path]:
    """Return the files that were named, and those with these endings in the folders that were; one at least."""
    found: list[Path] = []
    for path in map(Path, inputs):
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.is_file() and suffix(file) in endings)
        if not inside:
            raise InputError(f"{path}: no file of examples in it", hint=f"endings read are {', '.join(endings)}")
        found += inside
    return found


def records(path: Path) -> Iterator[Record]:
    """Yield the records of a file; raise `InputError` with the line that is wrong."""
    kind = suffix(path)
    if kind in _TABLES:
        yield from _rows(path, read_lines(path), _TABLES[kind])
    elif kind in (*LINES, ".json"):
        yield from (Record(one.place, one.values) for one in read(path))
    else:
        raise InputError(
            f"{path}: a file of examples ends in {', '.join(RECORDS)}", hint="write one JSON object a line: x.jsonl"
        )


def some(found: list[Any], inputs: Sequence[Path | str]) -> list[Any]:
    """Return what was found; raise `CorpusError` where that is nothing."""
    if not found:
        raise CorpusError(f"{', '.join(map(str, inputs))}: no example in it", hint="give files with examples")
    return found


def _rows(path: Path, lines: list[str], delimiter: str) -> Iterator[Record]:
    # in TSV a quote is a character like others
    quoted: Literal[0, 3] = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    reader = csv.DictReader((f"{line}\n" for line in lines), delimiter=delimiter, quoting=quoted)
    try:
        for row in reader:
            place = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                known = len(reader.fieldnames or ())
                raise InputError(f"{place}: not {known} columns, as the first line has", hint="mend that line")
            yield Record(place, dict(row))
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: {error}", hint="mend that line") from None
