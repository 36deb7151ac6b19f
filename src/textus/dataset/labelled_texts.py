"""Texts, pairs of texts and words with labels, from every kind of file that people have them in.

```
{"text": "It was a fine day.", "label": "positive"}       a text; the label may be a number, or a list of them
{"sentence1": "...", "sentence2": "...", "label": 1}      a pair; also premise, hypothesis and question1, question2
{"text": "...", "pair": "...", "label": 1}                a pair too
{"tokens": ["It", "rained"], "upos": ["PRON", "VERB"]}    words; also tags, ner, xpos
```

Tables have the same columns. Words come in CoNLL-U too, and as a word a line with its tag behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from textus import fingerprint
from textus.dataset.records import ENDINGS, Record, naming, suffix
from textus.dataset.records import files as files_of
from textus.dataset.records import read as records_of
from textus.dataset.tables import text_lines
from textus.errors import InputError

PAIRS = (("text", "pair"), ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"))
"""Columns that texts stand in, the second of a pair behind the first."""
TAGS = ("tags", "upos", "ner", "xpos")
"""Columns that tags stand in."""
CONLL = (".conll", ".txt", ".bio", ".iob", ".iob2", ".tags")
CONLLU = (".conllu",)
TAGGED_ENDINGS = (*ENDINGS, *CONLL, *CONLLU)
AUTO = "auto"
_OF_CONLLU = {AUTO: 3, "tags": 3, "upos": 3, "xpos": 4}
_FIELDS = 10


@dataclass(frozen=True)
class Columns:
    """Where texts and labels, or words and tags stand; `auto` looks for the names above."""

    text: str = AUTO
    pair: str = AUTO
    label: str = AUTO
    tokens: str = AUTO
    tags: str = AUTO
    settings: Mapping[str, str] = field(default_factory=dict)
    """By what people name a column, empty where they cannot; `data.` and the name above where it is not here."""

    def setting(self, name: str) -> str:
        """Return the setting that names a column."""
        return self.settings.get(name, f"data.{name}")


@dataclass(frozen=True)
class LabelledText:
    """One text, or two, and what is said of it."""

    place: str
    text: str
    pair: str | None
    labels: tuple[str, ...]
    """One, unless texts may have several."""

    @property
    def key(self) -> str:
        """Return the text, by which it is the same as another, whatever its labels."""
        return self.text if self.pair is None else fingerprint.of_parts([self.text, self.pair])


@dataclass(frozen=True)
class TaggedText:
    """The words of one text, and a tag for each."""

    place: str
    words: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the tags, which are the labels of the words."""
        return self.tags

    @property
    def key(self) -> str:
        """Return the words, by which it is the same as another."""
        return fingerprint.of_parts(self.words)


Labelled = LabelledText | TaggedText


def texts_with_labels(path: Path, columns: Columns) -> Iterator[LabelledText]:
    """Yield the texts of a file or folder; raise `InputError` with file and line of what is wrong."""
    kept: LabelledText | None = None
    for record in records_of(path):
        found = _labelled(record, columns)
        kept = kept or found
        if (found.pair is None) is not (kept.pair is None):
            what = "a text alone" if found.pair is None else "a pair of texts"
            raise InputError(f"{found.place}: {what}, and the first is not", hint="make a file of each")
        yield found


def words_with_tags(path: Path, columns: Columns) -> Iterator[TaggedText]:
    """Yield the sentences of a file or folder; raise `InputError` with file and line of what is wrong."""
    for file in files_of(path, TAGGED_ENDINGS):
        kind = suffix(file)
        if kind in CONLLU:
            yield from _conllu(file, columns)
        elif kind in CONLL:
            yield from _conll(file)
        elif kind in ENDINGS:
            yield from (_tagged(record, columns) for record in records_of(file))
        else:
            raise InputError(
                f"{file}: a file of tagged words ends in {', '.join(TAGGED_ENDINGS)}",
                hint='write one object a line, {"tokens": [...], "tags": [...]}, or a word a line and its tag',
            )


def texts_or_words(path: Path, columns: Columns) -> Iterator[Labelled]:
    """Yield whichever of the two a file holds, as its ending or its first record says."""
    if suffix(path) in (*CONLL, *CONLLU):
        return words_with_tags(path, columns)
    first = next(records_of(path), None)
    if first is not None and _named(columns.tokens, "tokens") in first.values:
        return words_with_tags(path, columns)
    return texts_with_labels(path, columns)


def _named(column: str, otherwise: str) -> str:
    return otherwise if column == AUTO else column


def _labelled(record: Record, columns: Columns) -> LabelledText:
    first, second = text_columns(record, columns)
    text = _filled(record, first, columns.setting("text"))
    pair = _filled(record, second, columns.setting("pair")) if second else None
    value = record.value(_named(columns.label, "label"), columns.setting("label"))
    labels = tuple(_label(record.place, one) for one in (value if isinstance(value, list) else [value]))
    if len(set(labels)) != len(labels):
        raise InputError(f"{record.place}: the same label twice", hint="name each label once")
    return LabelledText(record.place, text, pair, labels)


def text_columns(record: Record, columns: Columns) -> tuple[str, str]:
    """Return the column of the text, and that of the second one, empty where there is none."""
    if columns.text != AUTO:
        return columns.text, "" if columns.pair == AUTO else columns.pair
    first, second = next((pair for pair in PAIRS if pair[0] in record.values), PAIRS[0])
    if columns.pair != AUTO:
        return first, columns.pair
    return first, second if first != "text" or second in record.values else ""


def _filled(record: Record, column: str, setting: str) -> str:
    text = record.text(column, setting)
    if not text.strip():
        raise InputError(f"{record.place}: `{column}` is empty", hint="leave such an example out")
    return text


def _label(place: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if not isinstance(value, str) or not value.strip():
        raise InputError(
            f"{place}: a label is missing" if value in ("", None) else f"{place}: {value!r} is no label",
            hint="a label is a word or a number, or a list of them",
        )
    return value.strip()


def _tagged(record: Record, columns: Columns) -> TaggedText:
    there = next((name for name in TAGS if name in record.values), TAGS[0])
    words = _words(record, _named(columns.tokens, "tokens"), columns.setting("tokens"))
    tags = _words(record, _named(columns.tags, there), columns.setting("tags"))
    if len(words) != len(tags):
        raise InputError(
            f"{record.place}: {len(words)} words and {len(tags)} tags", hint="give each word exactly one tag"
        )
    return _checked(record.place, words, tags)


def _words(record: Record, column: str, setting: str) -> list[str]:
    value = record.value(column, setting)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InputError(f"{record.place}: `{column}` is not a list of words", hint=naming(setting))
    return value


def _checked(place: str, words: list[str], tags: list[str]) -> TaggedText:
    if not words:
        raise InputError(f"{place}: no word in it", hint="leave such an example out")
    for number, (word, tag) in enumerate(zip(words, tags, strict=True), 1):
        if not word.strip() or not tag.strip():
            what = "tag" if word.strip() else "word"
            raise InputError(f"{place}: {what} {number} is empty", hint="give each word exactly one tag")
    return TaggedText(place, tuple(words), tuple(tags))


def _sentences(lines: Iterable[str]) -> Iterator[list[tuple[int, str]]]:
    """Yield the lines, with their numbers, that stand together between blank ones."""
    held: list[tuple[int, str]] = []
    for number, line in enumerate((*lines, ""), 1):
        if line.strip():
            held.append((number, line.rstrip("\r")))
        elif held:
            yield held
            held = []


def _conllu(path: Path, columns: Columns) -> Iterator[TaggedText]:
    if columns.tags not in _OF_CONLLU:
        setting = columns.setting("tags")
        raise InputError(f"{path}: CoNLL-U has no tags `{columns.tags}`", hint=f"set {setting}=upos or {setting}=xpos")
    column = _OF_CONLLU[columns.tags]
    for lines in _sentences(text_lines(path)):
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
    for lines in _sentences(text_lines(path)):
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
