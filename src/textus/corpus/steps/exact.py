"""Which documents have the same text, and which of them stands for all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from textus.corpus.steps.table import Whole
from textus.errors import ConfigError


def ranks(whole: Whole, priority: Sequence[str]) -> NDArray[np.int64]:
    """Rank documents by what they were given for and where they come from: of two that are alike, the lower stays.

    Documents to measure on come first, then the groups of sources that `priority` names, in its order, then all others.
    """
    for name in priority:
        if name not in whole.group_names:
            raise ConfigError(
                f"corpus.near.priority: no documents of `{name}`",
                hint=f"the groups of this input are {', '.join(sorted(whole.group_names)[:20])}",
            )
    places = {name: 1 + number for number, name in enumerate(priority)}
    of_group = np.array([places.get(name, 1 + len(priority)) for name in whole.group_names], np.int64)
    return np.where(whole.held_out, np.int64(0), of_group[whole.groups])


def representatives(whole: Whole, rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, for each document, the first one of the lowest rank that has its text."""
    if not len(whole):
        return np.zeros(0, np.int64)
    order = np.lexsort((np.arange(len(whole)), rank, whole.digests[:, 1], whole.digests[:, 0]))
    sorted_digests = whole.digests[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = (sorted_digests[1:] != sorted_digests[:-1]).any(axis=1)
    first = order[is_first]
    found = np.empty(len(order), np.int64)
    found[order] = first[np.cumsum(is_first) - 1]
    return found
