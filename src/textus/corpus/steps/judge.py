"""Judge the documents of a piece by its own columns, which others play no part in, and count what these tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textus.corpus.config import CorpusConfig
from textus.corpus.filters.config import FilterConfig
from textus.corpus.filters.profiles import verdicts
from textus.corpus.privacy.config import KINDS
from textus.corpus.privacy.find import is_dropped
from textus.corpus.steps.ledger import Ledger
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
    piece: Measured, columns: Mapping[str, NDArray[Any]], ledger: Ledger, counts: Counts, config: CorpusConfig
) -> None:
    """Apply what a piece's own columns decide; documents given to measure on stay, whatever these say."""
    reasons = np.zeros(piece.stop - piece.start, np.int32)

    def drop(which: NDArray[np.bool_], reason: str) -> None:
        which = which & (reasons == 0)
        if which.any():
            reasons[which] = ledger.number(reason)

    drop(columns["characters"] == 0, "empty")
    drop(columns["characters"] < config.minimum_characters, "too short")
    counts.languages.update(columns["language"].tolist())
    counts.licences.update(filter(None, columns["licence"].tolist()))
    private = {kind: columns[f"private_{kind}"] for kind in KINDS}
    counts.private.update({kind: int(found.sum()) for kind, found in private.items() if found.any()})
    counts.would_drop.update(verdicts(columns, _WEB).breaking())
    if not piece.held_out:
        found = verdicts(columns, config.filter)
        for number, name in enumerate(found.names, 1):
            drop(found.reasons == number, name)
        drop(is_dropped(private, config.privacy), "personal data")
    ledger.judge(reasons)
