"""Count what became of the documents: by source and reason, and how like those were that were dropped for another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.steps.ledger import Decided
from textus.corpus.steps.table import Measured


class Tally:
    """Take decisions piece by piece; the reasons are known by their place among `names`."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._groups: dict[str, NDArray[np.int64]] = {}
        """Of each group of sources the documents and bytes by reason: `[2, reasons]`."""
        self._least = np.full(len(names), np.inf)
        self._sums, self._documents = np.zeros(len(names)), 0

    def add(self, piece: Measured, decided: Decided) -> None:
        """Count the documents of a piece."""
        columns, width = piece.columns(("group", "bytes")), len(self._names)
        groups, inverse = np.unique(columns["group"].astype(str), return_inverse=True)
        cells, size = inverse * width + decided.reason, len(groups) * width
        documents = np.bincount(cells, minlength=size).reshape(-1, width)
        num_bytes = np.bincount(cells, weights=columns["bytes"], minlength=size).reshape(-1, width)
        for name, *counts in zip(groups.tolist(), documents, num_bytes.astype(np.int64), strict=True):
            self._groups[name] = self._groups.get(name, np.zeros((2, width), np.int64)) + np.stack(counts)
        np.minimum.at(self._least, decided.reason, decided.score)
        self._sums += np.bincount(decided.reason, weights=decided.score, minlength=width)
        self._documents += len(decided.reason)

    def funnel(self, dropped: Mapping[str, int]) -> dict[str, Any]:
        """Return documents and bytes: read, dropped by reason, kept; in all and by source."""
        sources = {
            name: {
                "read": _cell(*counts.sum(axis=1)),
                "dropped": {
                    self._names[reason]: _cell(*counts[:, reason])
                    for reason in range(1, len(self._names))
                    if counts[0, reason]
                },
                "kept": _cell(*counts[:, 0]),
            }
            for name, counts in self._groups.items()
        }
        kept = self._documents - sum(dropped.values())
        return {"documents": {"read": self._documents, "kept": kept, "dropped": dict(dropped)}, "sources": sources}

    def scores(self, *asked: tuple[str, str]) -> dict[str, float]:
        """Return how like those of some reasons were to those they were dropped for, by the name of the likeness."""
        found: dict[str, float] = {}
        for reason, name in asked:
            number = self._names.index(reason) if reason in self._names else 0
            count = sum(int(counts[0, number]) for counts in self._groups.values()) if number else 0
            if count:
                found[f"{name} of dropped to kept, least"] = round(float(self._least[number]), 3)
                found[f"{name} of dropped to kept, mean"] = round(float(self._sums[number] / count), 3)
        return found


def _cell(documents: np.int64, num_bytes: np.int64) -> dict[str, int]:
    return {"documents": int(documents), "bytes": int(num_bytes)}
