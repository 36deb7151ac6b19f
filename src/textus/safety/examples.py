"""Texts, and of each category whether it holds, does not, or is not known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textus.dataset.records import Record, read, some
from textus.errors import CorpusError, InputError
from textus.safety.fold import fold
from textus.safety.settings import ModerateData
from textus.safety.suites import read_suite
from textus.safety.taxonomy import ATTACKS, HARMS

SCORED: tuple[str, ...] = (*HARMS, *ATTACKS)
"""What a classifier can be taught."""
_HINT = 'as in {"text": "...", "labels": {"hate": true, "violence": false}}, or a list of all that hold'
_TESTS: Mapping[str, frozenset[str]] = {
    "XSTest": frozenset({"prompt", "type"}),
    "HateCheck": frozenset({"test_case", "label_gold"}),
    "OpenAI's moderation set": frozenset({"prompt", "S", "H"}),
}
"""Tests that others publish their figures on, by their columns: a guard that learnt from one tells nothing there."""
_RUN = 13
"""So many words in a row are no chance."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Judged:
    """One text, and what is known of it."""

    place: str
    text: str
    known: Mapping[str, bool]
    """Of some categories whether they hold; of the others nobody has said."""

    @property
    def key(self) -> str:
        """Return the text, by which it is the same as another."""
        return self.text

    def numbers(self, categories: Sequence[str]) -> list[int]:
        """Return for each category 1 or 0, and -1 where it is not known."""
        return [int(self.known[name]) if name in self.known else -1 for name in categories]


def read_judged(inputs: Sequence[Path | str], config: ModerateData) -> list[Judged]:
    """Read texts and what is known of them; raise `InputError` with file and line of what is wrong."""
    found = [_judged(record, config) for path in inputs for record in read(Path(path))]
    return some(found, inputs)


def learnable(examples: Sequence[Judged]) -> tuple[str, ...]:
    """Return the categories of which there are examples with and without; raise `CorpusError` where there is none."""
    seen = {name: {one.known[name] for one in examples if name in one.known} for name in SCORED}
    found = tuple(name for name in SCORED if len(seen[name]) == 2)
    if not found:
        raise CorpusError(
            f"{len(examples)} training examples hold no category that some have and others have not",
            hint="give examples of harmless texts too: with false, or with an empty list",
        )
    return found


def told(examples: Iterable[Judged], categories: Sequence[str]) -> list[Judged]:
    """Return the examples that say something of these categories."""
    return [one for one in examples if any(name in one.known for name in categories)]


def refuse_tests(examples: Iterable[Judged], suites: Sequence[str | Path]) -> None:
    """Raise `InputError` where an example repeats a text that is to be measured on, or 13 words in a row of it."""
    known: dict[tuple[str, ...], str] = {}
    for path in suites:
        for case in read_suite(path).cases:
            known |= dict.fromkeys(_runs(case.text), str(path))
    for one in examples if known else ():
        for run in _runs(one.text):
            if run in known:
                raise InputError(
                    f"{one.place}: {known[run]} holds it too: {' '.join(run)[:80]!r}",
                    hint="take it out: what was learnt by heart measures nothing",
                )


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    words = tuple(_WORD.findall(fold(text).text))
    yield words
    yield from (words[at : at + _RUN] for at in range(len(words) - _RUN + 1))


def _judged(record: Record, config: ModerateData) -> Judged:
    for name, columns in _TESTS.items():
        if columns <= set(record.values):
            raise InputError(
                f"{record.place}: this has the form of {name}, which is kept to measure on",
                hint="learn from other texts; `textus redteam --suite` measures on this",
            )
    text = record.text(config.text, "data.text")
    if not text.strip():
        raise InputError(f"{record.place}: `{config.text}` is empty", hint="take the line out")
    value = record.value(config.labels, "data.labels")
    given = dict.fromkeys(value, True) if isinstance(value, list) and all(map(_is_name, value)) else value
    if not isinstance(given, dict):
        raise InputError(f"{record.place}: `{config.labels}` is {value!r}", hint=_HINT)
    known = {_category(record.place, name): _truth(record.place, name, found) for name, found in given.items()}
    known = _implied(record.place, known)
    if isinstance(value, list):
        known = dict.fromkeys(SCORED, False) | known
    return Judged(record.place, text, known)


def _is_name(value: Any) -> bool:
    return isinstance(value, str)


def _category(place: str, name: str) -> str:
    if name not in SCORED:
        raise InputError(f"{place}: no category `{name}`", hint=f"there are {', '.join(SCORED)}")
    return name


def _truth(place: str, name: str, value: Any) -> bool:
    if value not in (0, 1):
        raise InputError(f"{place}: `{name}` is {value!r}", hint="write true or false, or leave it out if unknown")
    return bool(value)


def _implied(place: str, known: Mapping[str, bool]) -> dict[str, bool]:
    """Add what follows: who threatens with hate also hates, and where there is no hate there is no such threat."""
    found = dict(known)
    for name in SCORED:
        whole, _, part = name.partition("/")
        if not part:
            continue
        if known.get(name) and known.get(whole) is False:
            raise InputError(f"{place}: `{name}` and not `{whole}`, of which it is a part", hint="mend one of them")
        if known.get(name):
            found[whole] = True
        elif known.get(whole) is False:
            found[name] = False
    return found
