"""Words with tags: read from JSON lines, CoNLL-U, and files with a word a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from textus import fingerprint
from textus.adaptation.config import TagData
from textus.adaptation.records import RECORDS, Record, files, read_lines, records, some, suffix
from textus.errors import InputError

_CONLL = (".conll", ".txt", ".bio", ".iob", ".iob2", ".tags")
_CONLLU = (".conllu",)
_COLUMNS = {"tags": 3, "upos": 3, "xpos": 4}
"""Of CoNLL-U."""
_FIELDS = 10
ENDINGS = (*RECORDS, *_CONLL, *_CONLLU)


@dataclass(frozen=True)
class TaggedText:
    """The words of one text, and a tag for each."""

    place: str
    words: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def key(self) -> str:
        """Return the words, by which it is the same as another."""
        return fingerprint.of_parts(self.words)


def read_tagged(inputs: Sequence[Path | str], config: TagData) -> list[TaggedText]:
    """Read words with tags; raise `InputError` with file and line of what is wrong."""
    return some([one for path in files(inputs, ENDINGS) for one in _file(path, config)], inputs)


def _file(path: Path, config: TagData) -> Iterator[TaggedText]:
    kind = suffix(path)
    if kind in _CONLLU:
        yield from _conllu(path, config)
    elif kind in RECORDS:
        yield from (_tagged(record, config) for record in records(path))
    elif kind in _CONLL:
        yield from _conll(path)
    else:
        raise InputError(
            f"{path}: a file of tagged words ends in {', '.join(ENDINGS)}",
            hint='write one object a line, {"tokens": [...], "tags": [...]}, or a word a line with its tag behind it',
        )


def _tagged(record: Record, config: TagData) -> TaggedText:
    words = _list(record, config.tokens, "data.tokens")
    tags = _list(record, config.tags, "data.tags")
    if len(words) != len(tags):
        raise InputError(
            f"{record.place}: {len(words)} words and {len(tags)} tags", hint="give each word exactly one tag"
        )
    return _checked(record.place, words, tags)


def _list(record: Record, column: str, setting: str) -> list[str]:
    value = record.value(column, setting)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InputError(f"{record.place}: `{column}` is not a list of words", hint=f"name it with {setting}=NAME")
    return value


def _checked(place: str, words: Sequence[str], tags: Sequence[str]) -> TaggedText:
    if not words:
        raise InputError(f"{place}: no word in it", hint="leave such an example out")
    for number, (word, tag) in enumerate(zip(words, tags, strict=True), 1):
        if not word.strip() or not tag.strip():
            what = "tag" if word.strip() else "word"
            raise InputError(f"{place}: {what} {number} is empty", hint="give each word exactly one tag")
    return TaggedText(place, tuple(words), tuple(tags))


def _sentences(path: Path) -> Iterator[list[tuple[int, str]]]:
    """Yield the lines, with their numbers, that stand together between blank ones."""
    held: list[tuple[int, str]] = []
    for number, line in enumerate([*read_lines(path), ""], 1):
        if line.strip():
            held.append((number, line.rstrip("\r")))
        elif held:
            yield held
            held = []


def _conllu(path: Path, config: TagData) -> Iterator[TaggedText]:
    if config.tags not in _COLUMNS:
        raise InputError(f"{path}: CoNLL-U has no tags `{config.tags}`", hint="set data.tags=upos or data.tags=xpos")
    column = _COLUMNS[config.tags]
    for lines in _sentences(path):
        words, tags = [], []
        for number, line in lines:
            if line.startswith("#"):
                continue
            fields = line.split("\t")
            if len(fields) != _FIELDS:
                raise InputError(
                    f"{path}:{number}: {len(fields)} fields, and CoNLL-U has {_FIELDS}", hint="mend that line"
                )
            if fields[0].isdecimal():  # neither a contraction of several words nor one that is not written
                words.append(fields[1])
                tags.append(fields[column])
        if words:
            yield _checked(f"{path}:{lines[0][0]}", words, tags)


def _conll(path: Path) -> Iterator[TaggedText]:
    for lines in _sentences(path):
        words, tags = [], []
        for number, line in lines:
            fields = line.split()
            if fields[0] == "-DOCSTART-":
                continue
            if len(fields) < 2:
                raise InputError(f"{path}:{number}: a word without a tag", hint="write the tag behind the word")
            words.append(fields[0])
            tags.append(fields[-1])
        if words:
            yield _checked(f"{path}:{lines[0][0]}", words, tags)
