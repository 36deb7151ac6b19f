"""Suites of attacks and of harmless texts that look like attacks, from the files that their authors publish.

The form is told by the columns: XSTest, HarmBench, AdvBench, HateCheck, OpenAI's moderation set, ToxiGen, CrowS-Pairs,
and JSON lines with `text` (or `prompt`), `label` and `category`. Files may be packed (`.zst`, `.gz`, `.xz`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textus.corpus.compression import InputFile
from textus.corpus.objects import object_at
from textus.errors import InputError

_MOST_BYTES = 512_000_000
Row = Mapping[str, Any]
OPENAI_COLUMNS = {
    "S": "sexual", "S3": "sexual/minors", "H": "hate", "H2": "hate/threatening", "HR": "harassment",
    "SH": "self-harm", "V": "violence", "V2": "violence/graphic",
}  # fmt: skip
"""The columns of OpenAI's moderation set, and what they are called today."""
_HARMLESS = frozenset({
    "safe", "harmless", "benign", "neither", "non-hateful", "nothateful", "neutral", "none", "not", "clean", "ok", "0",
    "not toxic",
})  # fmt: skip
_HINT = 'give a set in its authors\' form, or lines of {"text": "...", "label": "harmful", "category": "..."}'


@dataclass(frozen=True, slots=True)
class Case:
    """One text of a suite."""

    text: str
    harmful: bool
    """False for a text that looks harmful and is not: blocking it is a mistake."""
    category: str


@dataclass(frozen=True)
class Suite:
    """The texts of one file."""

    name: str
    form: str
    """Which of the known forms the file has."""
    cases: tuple[Case, ...]


def read_suite(path: str | Path) -> Suite:
    """Read a suite; raise `InputError` with the line that is wrong."""
    path = Path(path)
    file = InputFile(path, path.name)
    try:
        text = file.whole(_MOST_BYTES, "give a part of it").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}", hint="convert it with `iconv -t utf-8`") from None
    name = path.name.removesuffix(file.compression).removesuffix(file.suffix)
    if file.suffix == ".txt":
        cases = tuple(_lines(text, name))
        form = "lines"
    else:
        rows = list(_table(path, text, file.suffix))
        if not rows:
            raise InputError(f"{path}: an empty suite", hint=_HINT)
        form, read = _form(path, rows[0][1])
        cases = tuple(case for place, row in rows for case in _cases(place, row, name, read))
    if not cases:
        raise InputError(f"{path}: an empty suite", hint=_HINT)
    return Suite(name, form, cases)


def _table(path: Path, text: str, suffix: str) -> Iterator[tuple[str, Row]]:
    """Yield the place and the columns of each row."""
    if suffix in (".csv", ".tsv"):
        reader = csv.DictReader(io.StringIO(text), delimiter="\t" if suffix == ".tsv" else ",")
        for row in reader:
            yield f"{path}:{reader.line_num}", row
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            place = f"{path}:{number}"
            yield place, object_at(place, line, _HINT)


def _lines(text: str, name: str) -> Iterator[Case]:
    """Read a prompt a line; ToxiGen's files say in their names whether they are hateful."""
    for line in text.splitlines():
        if line.strip():
            yield Case(line.replace("\\n", "\n").strip(), not name.startswith("neutral"), name.removesuffix("_1k"))


def _cases(place: str, row: Row, name: str, read: Callable[[Row, str], Iterable[Case]]) -> list[Case]:
    try:
        found = list(read(row, name))
        if all(isinstance(case.text, str) and case.text.strip() for case in found):
            return found
    except KeyError as error:
        raise InputError(f"{place}: no column {error}", hint=_HINT) from None
    raise InputError(f"{place}: no text", hint=_HINT)


def _form(path: Path, row: Row) -> tuple[str, Callable[[Row, str], Iterable[Case]]]:
    columns = set(row)
    for form, needed, read in _FORMS:
        if needed <= columns:
            return form, read
    raise InputError(
        f"{path}: no known form; its columns are {', '.join(map(str, sorted(columns, key=str)))}", hint=_HINT
    )


def _xstest(row: Row, name: str) -> Iterable[Case]:
    harmful = str(row["label"]) == "unsafe" if row.get("label") else str(row["type"]).startswith("contrast")
    return [Case(row["prompt"], harmful, row["type"])]


def _harmbench(row: Row, name: str) -> Iterable[Case]:
    context = row.get("ContextString") or ""
    text = f"{context}\n\n---\n\n{row['Behavior']}" if context else row["Behavior"]
    return [Case(text, True, row.get("SemanticCategory") or name)]


def _advbench(row: Row, name: str) -> Iterable[Case]:
    return [Case(row["goal"], True, name)]


def _hatecheck(row: Row, name: str) -> Iterable[Case]:
    return [Case(row["test_case"], row["label_gold"] == "hateful", row["functionality"])]


def _openai(row: Row, name: str) -> Iterable[Case]:
    found = [category for column, category in OPENAI_COLUMNS.items() if row.get(column) == 1]
    return [Case(row["prompt"], bool(found), found[0] if found else "none")]


def _crows(row: Row, name: str) -> Iterable[Case]:
    stereotype = row.get("sent_more") or row["more"]
    return [Case(stereotype, True, f"stereotype: {row['bias_type']}")]


def _plain(row: Row, name: str) -> Iterable[Case]:
    text = row.get("text") or row["prompt"]
    label = str(row.get("label", "")).lower()
    harmful = label not in _HARMLESS
    kind = str(row.get("id", ""))
    if not label and ":neutral" in kind:
        harmful = False
    category = row.get("category") or (kind.split(":")[1] if kind.count(":") == 2 else "") or label or name
    return [Case(text, harmful, str(category))]


_FORMS: tuple[tuple[str, set[str], Callable[[Row, str], Iterable[Case]]], ...] = (
    ("XSTest", {"prompt", "type"}, _xstest),
    ("HarmBench", {"Behavior"}, _harmbench),
    ("AdvBench", {"goal", "target"}, _advbench),
    ("HateCheck", {"test_case", "label_gold", "functionality"}, _hatecheck),
    ("OpenAI moderation", {"prompt", "SH", "HR"}, _openai),
    ("OpenAI moderation", {"prompt", "S", "H"}, _openai),
    ("CrowS-Pairs", {"sent_more", "sent_less", "bias_type"}, _crows),
    ("CrowS-Pairs", {"more", "less", "bias_type"}, _crows),
    ("text", {"text"}, _plain),
    ("text", {"prompt"}, _plain),
)
