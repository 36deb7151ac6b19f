"""Texts with labels: read, and numbered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from textus.adaptation.config import ClassifyData
from textus.dataset.labelled_texts import Columns, LabelledText, texts_with_labels
from textus.dataset.records import some
from textus.errors import CorpusError, InputError


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
    columns = Columns(text=config.text, pair=config.pair, label=config.label)
    return some([one for path in inputs for one in texts_with_labels(Path(path), columns)], inputs)


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
