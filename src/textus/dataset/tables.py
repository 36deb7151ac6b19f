"""Rows of CSV and TSV, and the lines of text files, packed or not."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from textus.corpus.compression import InputFile
from textus.errors import InputError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
"""What stands between columns, by the ending of a file."""
_MOST_BYTES = 4 << 30


def text_lines(path: Path) -> list[str]:
    """Return the lines of a file of UTF-8, packed or not."""
    data = InputFile(path, path.name).whole(_MOST_BYTES, "give examples in smaller files")
    try:
        return data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 at byte {error.start}", hint="convert it with `iconv -t utf-8` first"
        ) from None


def table_rows(path: Path, delimiter: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each row by the names in the first line, with its place; `InputError` names the line that is none."""
    # in TSV a quote is a character like others
    quoted: Literal[0, 3] = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    lines = (f"{line}\n" for line in text_lines(path))
    reader = csv.DictReader(lines, delimiter=delimiter, quoting=quoted)
    try:
        for row in reader:
            place = f"{path}:{reader.line_num}"
            if None in row or None in row.values():
                known = len(reader.fieldnames or ())
                raise InputError(f"{place}: not {known} columns, as the first line has", hint="mend that line")
            yield place, dict(row)
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: {error}", hint="mend that line") from None
