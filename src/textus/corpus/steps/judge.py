"""Judge the documents of a piece by its own columns, which others play no part in, and count what these tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.config import CorpusConfig
from textus.corpus.filters.config import FilterConfig
from textus.corpus.filters.profiles import verdicts
from textus.corpus.privacy.config import KINDS
from textus.corpus.privacy.find import is_dropped
from textus.corpus.steps.ledger import KEPT, Ledger
from textus.corpus.steps.table import Measured

_WEB = FilterConfig(profile="web")
_MOST_COUNTED = 100


@dataclass
class Counts:
    """What the pieces' tables say in sum."""

    languages: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    private: Counter[str] = field(default_factory=Counter)
    would_drop: Counter[str] = field(default_factory=Counter)
    """Documents, by each rule of the profile `web` that they break."""

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Return the counts, the largest first, for JSON."""
        return {name: dict(counts.most_common(_MOST_COUNTED)) for name, counts in vars(self).items()}


def judge(
    piece: Measured, scores: Mapping[str, NDArray[Any]], ledger: Ledger, counts: Counts, config: CorpusConfig
) -> None:
    """Apply what a piece's own columns decide, and its scores: some thousand documents at a time."""
    reasons, names = np.zeros(piece.stop - piece.start, np.int32), [KEPT]
    for part, measured in piece.parts():
        columns, names = measured | {name: values[part] for name, values in scores.items()}, [KEPT]
        _count(columns, counts)
        own = reasons[part]
        for which, name in _asked(columns, piece.held_out, config):
            own[which & (own == 0)] = len(names)
            names.append(name)
    found = np.bincount(reasons, minlength=len(names)) > 0
    numbers = [ledger.number(name) if is_found else 0 for name, is_found in zip(names, found.tolist(), strict=True)]
    ledger.judge(np.array(numbers, np.int32)[reasons])


def _asked(
    columns: Mapping[str, NDArray[Any]], held_out: bool, config: CorpusConfig
) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """Yield which documents are to go, and why; those given to measure on stay, whatever their measures say."""
    yield columns["characters"] == 0, "empty"
    yield columns["characters"] < config.minimum_characters, "too short"
    if held_out:
        return
    found = verdicts(columns, config.filter)
    reasons = found.reasons
    for number, name in enumerate(found.names, 1):
        yield reasons == number, name
    yield is_dropped({kind: columns[f"private_{kind}"] for kind in KINDS}, config.privacy), "personal data"


def _count(columns: Mapping[str, NDArray[Any]], counts: Counts) -> None:
    counts.languages.update(columns["language"].tolist())
    counts.licences.update(filter(None, columns["licence"].tolist()))
    private = {kind: columns[f"private_{kind}"] for kind in KINDS}
    counts.private.update({kind: int(found.sum()) for kind, found in private.items() if found.any()})
    counts.would_drop.update(verdicts(columns, _WEB).breaking())
