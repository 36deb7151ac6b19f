"""Texts with labels: read, checked, and numbered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from textus import fingerprint
from textus.adaptation.config import ClassifyData
from textus.adaptation.records import RECORDS, Record, files, records, some
from textus.errors import CorpusError, InputError


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
        """Return the text, by which it is the same as another."""
        return self.text if self.pair is None else fingerprint.of_parts([self.text, self.pair])


@dataclass(frozen=True)
class LabelSet:
    """The labels that were learnt, in the order of their numbers."""

    names: tuple[str, ...]
    several: bool

    def number(self, example: LabelledText) -> list[int]:
        """Return the label's number, or for each of several labels whether it holds."""
        for label in example.labels:
            if label not in self.names:
                shown = ", ".join(self.names[:12]) + (", ..." if len(self.names) > 12 else "")
                raise InputError(
                    f"{example.place}: label {label!r} is not among those learnt: {shown}",
                    hint="give training examples of it, or leave such examples out",
                )
        if self.several:
            return [int(name in example.labels) for name in self.names]
        return [self.names.index(example.labels[0])]


def read_labelled(inputs: Sequence[Path | str], config: ClassifyData) -> list[LabelledText]:
    """Read texts with labels; raise `InputError` with file and line of what is wrong."""
    found = [_labelled(record, config) for path in files(inputs, RECORDS) for record in records(path)]
    return some(found, inputs)


def label_set(examples: Iterable[LabelledText]) -> LabelSet:
    """Give numbers to the labels of training examples; raise `CorpusError` where there is nothing to tell apart."""
    examples = list(examples)
    names = sorted({label for one in examples for label in one.labels}, key=_in_order)
    several = any(len(one.labels) != 1 for one in examples)
    if len(names) < (1 if several else 2):
        raise CorpusError(
            f"{len(examples)} training examples all have the label {names[0]!r}" if names else "no example has a label",
            hint="give examples of two labels at least",
        )
    return LabelSet(tuple(names), several)


def majority(examples: Iterable[LabelledText]) -> tuple[str, ...]:
    """Return the answer that most examples have."""
    return Counter(one.labels for one in examples).most_common(1)[0][0]


def _in_order(label: str) -> tuple[int, float, str]:
    """Put numbers in their order, and words behind them."""
    try:
        return (0, float(label), label)
    except ValueError:
        return (1, 0.0, label)


def _labelled(record: Record, config: ClassifyData) -> LabelledText:
    text = record.text(config.text, "data.text")
    pair = record.text(config.pair, "data.pair") if config.pair else None
    value = record.value(config.label, "data.label")
    given = value if isinstance(value, list) else [value]
    labels = tuple(_word(record.place, one) for one in given)
    if len(set(labels)) != len(labels):
        raise InputError(f"{record.place}: the same label twice", hint="name each label once")
    return LabelledText(record.place, text, pair, labels)


def _word(place: str, value: object) -> str:
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
