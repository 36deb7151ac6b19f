"""Read labelled text: JSON lines of texts or pairs with a label, or of words with a tag each; packed files too.

```
{"text": "It was a fine day.", "label": "positive"}                        a text; the label may be a number
{"sentence1": "...", "sentence2": "...", "label": 1}                       a pair; also premise, hypothesis and
                                                                           question1, question2
{"tokens": ["It", "rained"], "upos": ["PRON", "VERB"]}                     words; also tags, ner, xpos
```
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textus import fingerprint
from textus.corpus.compression import InputFile
from textus.corpus.objects import object_at
from textus.errors import InputError

PAIRS = (("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"))
TAGS = ("tags", "upos", "ner", "xpos")
LABEL = "label"
_LONGEST_LINE = 16 * 2**20
_HINT = 'one object a line, as in {"text": "It was fine.", "label": "good"} or {"tokens": ["It"], "tags": ["PRON"]}'


@dataclass(frozen=True)
class Example:
    """A text with a label, or a pair of texts with one."""

    text: str
    label: str
    second: str = ""
    """Empty where there is no pair."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the label alone."""
        return (self.label,)

    @property
    def id(self) -> str:
        """Return a hash of the text: equal texts have equal ids, whatever their labels."""
        return fingerprint.of_parts([self.text, self.second])


@dataclass(frozen=True)
class Tagged:
    """Words with a tag each."""

    words: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def id(self) -> str:
        """Return a hash of the words."""
        return fingerprint.of_parts(self.words)


Labelled = Example | Tagged


def read_labelled(path: Path, column: str = "auto") -> Iterator[Labelled]:
    """Yield what the lines of a file hold, all of one kind; blank lines count for nothing.

    `column` names where labels or tags stand; auto: `label`, or the first of `tags upos ner xpos` that is there. Memory
    is bounded by the longest line. Raises `InputError` with the file and line of what is wrong, and for an empty file.
    """
    kind: type[Labelled] | None = None
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        found = _labelled(place, object_at(place, line.removeprefix(codecs.BOM_UTF8), _HINT), column)
        if kind is None:
            kind = type(found)
        elif type(found) is not kind:
            raise InputError(
                f"{place}: {_kind(type(found))}, where the lines before hold {_kind(kind)}", hint="make a file of each"
            )
        yield found
    if kind is None:
        raise InputError(f"{path}: no line in it", hint=_HINT)


def _kind(kind: type[Labelled]) -> str:
    return "a text with a label" if kind is Example else "words with tags"


def _lines(path: Path) -> Iterator[bytes]:
    """Return the lines of a file, unpacked; raise `InputError` where one is too long to be one."""
    file = InputFile(path, path.name)
    with suppress(OSError):  # reading it says better what is wrong
        file.weight = path.stat().st_size
    return file.lines(_LONGEST_LINE, _HINT)


def _labelled(place: str, value: dict[str, Any], column: str) -> Labelled:
    if "tokens" in value:
        return _tagged(place, value, column)
    first, second = next((pair for pair in PAIRS if pair[0] in value), ("text", ""))
    texts = [value.get(name) for name in (first, second) if name]
    for name, text in zip((first, second), texts, strict=False):
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{place}: {_missing(value, name)}", hint=_HINT)
    name = LABEL if column == "auto" else column
    label = value.get(name)
    if not isinstance(label, str | int) or label == "":
        raise InputError(f"{place}: {_missing(value, name)}", hint=f"`{name}` is a word or a whole number; {_HINT}")
    return Example(str(texts[0]), str(label), str(texts[1]) if second else "")


def _tagged(place: str, value: dict[str, Any], column: str) -> Tagged:
    name = next((name for name in TAGS if name in value), TAGS[0]) if column == "auto" else column
    words, tags = value["tokens"], value.get(name, ())
    for key, row in (("tokens", words), (name, tags)):
        if not isinstance(row, list) or not row or not all(isinstance(one, str) and one for one in row):
            words_of = "is no list of words" if key in value else "is not there"
            raise InputError(f"{place}: `{key}` {words_of}", hint=_HINT)
    if len(words) != len(tags):
        raise InputError(f"{place}: {len(words)} tokens and {len(tags)} `{name}`", hint="give each word its tag")
    return Tagged(tuple(words), tuple(tags))


def _missing(value: dict[str, Any], name: str) -> str:
    if name not in value:
        return f"no `{name}`; there is {', '.join(sorted(value)) or 'nothing'}"
    return f"`{name}` is empty or no text" if name != LABEL else f"`{name}` is no word and no whole number"
