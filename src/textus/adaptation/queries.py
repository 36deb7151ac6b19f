"""Queries and what answers them: pairs in JSON lines, or a folder with a corpus, queries and judgements."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textus.adaptation.config import PairData
from textus.dataset.records import ENDINGS, Record, read, some, suffix
from textus.errors import InputError

_EXAMPLE = '{"query": "...", "positive": "...", "negatives": ["..."]}'


@dataclass(frozen=True)
class Query:
    """A query, the passages that answer it, and some that only look like it; by the passages' names."""

    place: str
    text: str
    relevant: tuple[tuple[str, int], ...]
    """Name and grade of each passage that answers it."""
    negatives: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Return the text, by which it is the same as another."""
        return self.text


@dataclass
class Collection:
    """Passages by name, and queries to them."""

    passages: dict[str, str] = field(default_factory=dict)
    queries: list[Query] = field(default_factory=list)


def read_queries(inputs: Sequence[Path | str], config: PairData) -> Collection:
    """Read queries and passages; raise `InputError` with file and line of what is wrong."""
    found = Collection()
    for path in map(Path, inputs):
        if path.is_dir() and _part(path, "queries"):
            _folder(path, found)
        else:
            for record in read(path):
                _pair(record, config, found)
    some(found.queries, inputs)
    return found


def _part(folder: Path, name: str) -> Path | None:
    there = sorted(path for path in folder.glob(f"{name}.*") if suffix(path) in ENDINGS)
    return there[0] if there else None


def _folder(folder: Path, found: Collection) -> None:
    """Read a folder as BEIR lays it out (arXiv 2104.08663)."""
    corpus, queries, judged = (_part(folder, name) for name in ("corpus", "queries", "qrels"))
    if corpus is None or queries is None or judged is None:
        raise InputError(
            f"{folder}: it should hold corpus, queries and qrels, each ending in {', '.join(ENDINGS)}",
            hint=f"or give pairs, one object a line: {_EXAMPLE}",
        )
    for record in read(corpus):
        title, text = str(record.values.get("title") or ""), record.text("text", "data.positive")
        named = text if not title or text.startswith(title) else f"{title} {text}"
        found.passages[_name(record, "_id")] = named
    relevant: dict[str, dict[str, int]] = {}
    for record in read(judged):
        query, passage = _name(record, "query-id"), _name(record, "corpus-id")
        if passage not in found.passages:
            raise InputError(f"{record.place}: no passage {passage!r} in {corpus}", hint="mend the judgements")
        grade = record.values.get("score", 1)
        if int(grade) > 0:
            relevant.setdefault(query, {})[passage] = int(grade)
    for record in read(queries):
        name = _name(record, "_id")
        if name in relevant:
            found.queries.append(Query(record.place, record.text("text", "data.query"), tuple(relevant[name].items())))


def _name(record: Record, column: str) -> str:
    value = record.values.get(column)
    if not isinstance(value, str | int) or isinstance(value, bool):
        there = ", ".join(f"`{name}`" for name in list(record.values)[:12]) or "nothing"
        raise InputError(
            f"{record.place}: no `{column}`; there is {there}", hint="name passages and queries as BEIR does"
        )
    return str(value)


def _pair(record: Record, config: PairData, found: Collection) -> None:
    query = record.text(config.query, "data.query")
    positives = _texts(record, record.value(config.positive, "data.positive"), config.positive)
    negatives = _texts(record, record.values.get(config.negatives) or [], config.negatives)
    if not query.strip() or not positives:
        raise InputError(f"{record.place}: no {'answer' if query.strip() else 'query'} in it", hint=f"as in {_EXAMPLE}")
    for passage in (*positives, *negatives):
        found.passages[passage] = passage
    found.queries.append(Query(record.place, query, tuple((one, 1) for one in positives), tuple(negatives)))


def _texts(record: Record, value: Any, column: str) -> list[str]:
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(one, str) and one.strip() for one in given):
        shown = json.dumps(value, ensure_ascii=False)[:60]
        raise InputError(
            f"{record.place}: `{column}` is no text and no list of texts: {shown}", hint=f"as in {_EXAMPLE}"
        )
    return given
