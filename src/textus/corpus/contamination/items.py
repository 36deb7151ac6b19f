"""Read evaluation sets, whatever their fields are called."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet

from textus.corpus.compression import InputFile, readable
from textus.corpus.decode import decoded
from textus.corpus.files import list_files
from textus.corpus.log import ReadLog
from textus.errors import InputError

_NO_TEXT = frozenset({
    "license", "licence", "id", "uid", "pairid", "item_id", "qid", "source", "subject", "category", "field", "topic",
    "linguistics_term", "type", "label", "split", "url", "dataset", "task", "metadata", "meta", "language", "lang",
})  # fmt: skip
"""Fields that tell about an item, and are not in it."""
_ANSWER_NUMBERS = ("gold", "answer", "answer_index", "answer_idx", "answerkey", "label", "target", "correct")
# In the order in which an item would be written down: what is read first, the question, then what is chosen.
_ORDER = (("passage", "support", "premise", "context", "story", "ctx"), ("question", "query", "problem", "prompt"))
_LAST = (
    "choice",
    "option",
    "ending",
    "continuation",
    "completion",
    "answer",
    "solution",
    "chain_of_thought",
    "hypothesis",
)


@dataclass(frozen=True, slots=True)
class Item:
    """One question of an evaluation set."""

    set: str
    number: int
    """Its place in the file, from 0."""
    texts: tuple[str, ...]
    """The forms in which it may stand in a document: with its answer, and each of its texts alone."""


def read_items(paths: Sequence[str | Path]) -> list[Item]:
    """Read evaluation sets from files and folders: a record of JSON, CSV, Parquet or a paragraph is an item."""
    items: list[Item] = []
    for path in list_files(paths):
        file = InputFile(path, path.name)
        name = path.name.removesuffix(file.compression).removesuffix(file.suffix)
        records = list(_records(file))
        items += [Item(name, number, item_texts(record)) for number, record in enumerate(records)]
    return items


def item_texts(record: Any) -> tuple[str, ...]:
    """Return the texts that an item may stand as in a document.

    All strings of a record are read, but those that only tell about it (`license`, `subject`, ...). Of several choices
    the right one is taken where the record says which it is, for the wrong ones stand in no honest text.

    >>> item_texts({"query": "Is ice cold?", "choices": ["no", "yes"], "gold": 1, "license": "MIT"})
    ('Is ice cold? yes', 'Is ice cold?')
    """
    if isinstance(record, str):
        return (record,)
    fields = sorted(_fields(record), key=lambda field: _rank(field[0]))
    whole = " ".join(text for _, text, _ in fields)
    alone = [text for _, text, is_alone in fields if is_alone]
    return tuple(dict.fromkeys(text for text in (whole, *alone) if text.strip()))


def _fields(record: Any) -> Iterator[tuple[str, str, bool]]:
    """Yield names and texts of a record, and whether a text can stand alone."""
    if not isinstance(record, Mapping):
        return
    gold = _gold(record)
    for name, value in record.items():
        if str(name).lower() in _NO_TEXT:
            continue
        if isinstance(value, Mapping):
            value = value.get("text", list(value.values()))
        if isinstance(value, str):
            # The letter or number of an answer is not a text.
            if not (str(name).lower() in _ANSWER_NUMBERS and len(value.strip()) <= 1):
                yield str(name), value, True
        elif isinstance(value, Sequence):
            texts = [text for text in value if isinstance(text, str)]
            chosen = [texts[gold]] if 0 <= gold < len(texts) else texts
            if not all(len(text.strip()) <= 1 for text in chosen):
                yield from ((str(name), text, False) for text in chosen)


def _gold(record: Mapping[Any, Any]) -> int:
    """Return the number of the right choice, or -1 where the record does not say it."""
    for name, value in record.items():
        if str(name).lower() not in _ANSWER_NUMBERS or isinstance(value, bool):
            continue
        if isinstance(value, int):
            return value
        if isinstance(value, str) and len(value.strip()) == 1:
            letter = value.strip().upper()
            return int(letter) if letter.isascii() and letter.isdigit() else ord(letter) - ord("A")
    return -1


def _rank(name: str) -> int:
    name = name.lower()
    if any(name.startswith(word) or name.endswith(word) for word in _LAST):
        return len(_ORDER) + 1
    return next((rank for rank, words in enumerate(_ORDER) if name.startswith(words)), len(_ORDER))


def _records(file: InputFile) -> Iterator[Any]:
    if file.suffix == ".parquet":
        with readable(file.path):
            yield from pyarrow.parquet.read_table(file.path).to_pylist()
        return
    text = "".join(decoded(file.blocks(1 << 20), "auto", file.path, ReadLog()))
    if file.suffix in (".jsonl", ".ndjson"):
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield _json(line, f"{file.path}:{number}")
    elif file.suffix == ".json":
        value = _json(text, str(file.path))
        yield from value if isinstance(value, list) else [value]
    elif file.suffix in (".csv", ".tsv"):
        yield from csv.DictReader(io.StringIO(text), delimiter="\t" if file.suffix == ".tsv" else ",")
    else:
        yield from (paragraph for paragraph in text.split("\n\n") if paragraph.strip())


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid JSON: {error}", hint="mend or delete that record") from None
